import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ArchiveServer, startArchive } from '../../test/peers/archive-server.ts';
import { dicomFile } from '../../test/peers/dicom-file.ts';
import type { MultipartPart } from '../dicom/read-multipart.ts';
import { elementsAllowed } from '../dicom/read-part10.ts';
import { ArchiveIntake, BATCH_ELEMENTS_MAX, BATCH_INSTANCES } from './archive-intake.ts';
import { ArchiveSource } from './archive-source.ts';
import { ReceivingStudies } from './receiving-studies.ts';

let server: ArchiveServer;
beforeAll(async () => {
  server = await startArchive();
});
afterAll(() => server?.stop());

const part = (study: string, at: number, bytes = 0): MultipartPart => ({
  headers: { 'content-type': 'application/dicom' },
  body: (async function* () {
    const pixels = bytes === 0 ? {} : { pixels: Buffer.alloc(bytes) };
    yield dicomFile({ study, series: `${study}.1`, sop: `${study}.1.${at}`, ...pixels });
  })(),
});

describe('a study that is being stored', () => {
  it('grows until the request that brings it has ended, also between its steps', async () => {
    const source = server.get(ArchiveSource);
    let goOn = () => {};
    const paused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    async function* slowly(): AsyncIterable<MultipartPart> {
      for (let at = 1; at <= BATCH_INSTANCES + 1; at += 1) yield part('1.7', at);
      await paused;
      yield part('1.7', 1_000);
    }
    expect(source.isGrowing('1.7')).toBe(false);
    const taken = server.get(ArchiveIntake).take(slowly(), null);
    await expect.poll(() => source.countInstances('1.7')).toBe(BATCH_INSTANCES);
    expect(source.isGrowing('1.7')).toBe(true);
    expect(source.isGrowing('1.8')).toBe(false);
    goOn();
    await taken;
    expect([source.isGrowing('1.7'), await source.countInstances('1.7')]).toEqual([
      false,
      BATCH_INSTANCES + 2,
    ]);
  });

  it('grows in smaller steps where headers may be large: no more elements are held than a step may have', async () => {
    const source = server.get(ArchiveSource);
    const LARGE_BYTES = 8_000_000;
    const together = Math.floor(BATCH_ELEMENTS_MAX / elementsAllowed(LARGE_BYTES));
    expect(together).toBeLessThan(BATCH_INSTANCES);
    const counted: number[] = [];
    async function* parts(): AsyncIterable<MultipartPart> {
      for (let at = 1; at <= together + 1; at += 1) {
        counted.push(await source.countInstances('1.11'));
        yield part('1.11', at, LARGE_BYTES);
      }
    }
    await server.get(ArchiveIntake).take(parts(), null);
    expect(counted).toEqual([...Array.from({ length: together }, () => 0), together]);
    expect(await source.countInstances('1.11')).toBe(together + 1);
  });

  it('does not grow any more when the request breaks off', async () => {
    const source = server.get(ArchiveSource);
    async function* broken(): AsyncIterable<MultipartPart> {
      for (let at = 1; at <= BATCH_INSTANCES; at += 1) yield part('1.9', at);
      await expect.poll(() => source.isGrowing('1.9')).toBe(true);
      throw new Error('the line is cut');
    }
    await expect(server.get(ArchiveIntake).take(broken(), null)).rejects.toThrow('the line is cut');
    expect(source.isGrowing('1.9')).toBe(false);
  });

  it('grows as long as any of several requests does', () => {
    const studies = new ReceivingStudies();
    const [one, two] = [studies.begin(), studies.begin()];
    for (const request of [one, two, two]) request.bring('1.2');
    two.end();
    expect(studies.has('1.2')).toBe(true);
    one.end();
    expect(studies.has('1.2')).toBe(false);
  });
});
