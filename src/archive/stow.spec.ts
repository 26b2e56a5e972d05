import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enhancedFile } from '../../models/phantom/enhanced-file.ts';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { type ArchiveServer, startArchive } from '../../test/peers/archive-server.ts';
import { dicomFile } from '../../test/peers/dicom-file.ts';
import { jsonItems, jsonNumber, jsonString } from '../dicom/json-values.ts';
import { PixelWorkers } from '../dicom/pixel-workers.ts';
import { elementsAllowed } from '../dicom/read-part10.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { TensorReader } from '../steps/inference/tensor-reader.ts';
import { ArchiveIntake, BATCH_INSTANCES } from './archive-intake.ts';
import { INCOMING_KEPT_MS, sweepIncoming } from './instance-file.ts';
import { FAILURE_REASONS } from './read-instance.ts';
import { ReceivingStudies } from './receiving-studies.ts';

let server: ArchiveServer;
let intake: ArchiveIntake;
const heard: string[][] = [];

beforeAll(async () => {
  server = await startArchive();
  intake = server.get(ArchiveIntake);
  intake.onStored(async (_tx, studies) => void heard.push(studies));
});
afterAll(() => server?.stop());
beforeEach(() => void heard.splice(0));

describe('STOW-RS', () => {
  it('answers 200 when the file is on disk, in the index and announced', async () => {
    const file = dicomFile({ study: '1.1', series: '1.1.1', sop: '1.1.1.1', pixels: Buffer.alloc(4, 7) });
    const { status, reasons, stored, url } = await store([file]);
    expect(status).toBe(200);
    expect(url).toMatch(/\/dicomweb\/studies\/1\.1$/);
    expect(stored).toEqual(['1.1.1.1']);
    expect(reasons).toEqual([]);
    const onDisk = await readFile(join(server.folder, '1.1/1.1.1/1.1.1.1.dcm'));
    expect(onDisk.equals(file)).toBe(true);
    const [row] = await server.database.run<{ sha256: string; bytes: string }>(
      { text: 'SELECT sha256, bytes FROM archive_instance WHERE sop_instance_uid = $1' },
      ['1.1.1.1'],
    );
    expect(row).toEqual({
      sha256: createHash('sha256').update(file).digest('hex'),
      bytes: String(file.length),
    });
    expect(heard).toEqual([['1.1']]);
    expect(await readdir(join(server.folder, 'incoming'))).toEqual([]);
  });

  it('takes the same instance again as success, without announcing it again', async () => {
    const file = dicomFile({ study: '1.2', series: '1.2.1', sop: '1.2.1.1' });
    await store([file]);
    expect((await store([file, file])).status).toBe(200);
    expect(heard).toEqual([['1.2']]);
  });

  it('refuses other bytes under a UID that is there, and keeps the first', async () => {
    const first = dicomFile({
      study: '1.3',
      series: '1.3.1',
      sop: '1.3.1.1',
      elements: [['00100010', 'PN', 'FIRST^A']],
    });
    const second = dicomFile({
      study: '1.3',
      series: '1.3.1',
      sop: '1.3.1.1',
      elements: [['00100010', 'PN', 'SECOND']],
    });
    await store([first]);
    const { status, reasons } = await store([second]);
    expect(status).toBe(409);
    expect(reasons).toEqual([0x0111]);
    expect((await readFile(join(server.folder, '1.3/1.3.1/1.3.1.1.dcm'))).equals(first)).toBe(true);
  });

  it('answers 202 and says which failed when only some could be stored', async () => {
    const { status, reasons, stored } = await store([
      dicomFile({ study: '1.4', series: '1.4.1', sop: '1.4.1.1' }),
      Buffer.from('nonsense'),
    ]);
    expect(status).toBe(202);
    expect(stored).toEqual(['1.4.1.1']);
    expect(reasons).toEqual([0xc000]);
  });

  it('stores a study of several batches with one announcement per batch', async () => {
    const files = Array.from({ length: BATCH_INSTANCES + 3 }, (_, at) =>
      dicomFile({ study: '1.5', series: '1.5.1', sop: `1.5.1.${at + 1}` }),
    );
    expect((await store(files)).status).toBe(200);
    expect(heard).toEqual([['1.5'], ['1.5']]);
    expect(await readdir(join(server.folder, '1.5/1.5.1'))).toHaveLength(files.length);
  });

  it('stores the same instances from two clients at once without losing or refusing any', async () => {
    const files = Array.from({ length: 40 }, (_, at) =>
      dicomFile({ study: '1.6', series: '1.6.1', sop: `1.6.1.${at + 1}` }),
    );
    const answers = await Promise.all([store(files), store([...files].reverse())]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    expect(await readdir(join(server.folder, '1.6/1.6.1'))).toHaveLength(40);
  });

  it('zeroes the preamble, so that a file cannot be a program as well', async () => {
    await store([
      dicomFile({ study: '1.7', series: '1.7.1', sop: '1.7.1.1', preamble: Buffer.from('MZ'.repeat(64)) }),
    ]);
    const onDisk = await readFile(join(server.folder, '1.7/1.7.1/1.7.1.1.dcm'));
    expect(onDisk.subarray(0, 128).every((byte) => byte === 0)).toBe(true);
    expect(onDisk.toString('latin1', 128, 132)).toBe('DICM');
  });

  it('writes no index row and leaves no file behind when the listener fails', async () => {
    const failing = new ArchiveIntakeWith(new Error('the queue is down'));
    await expect(failing.take(dicomFile({ study: '1.8', series: '1.8.1', sop: '1.8.1.1' }))).rejects.toThrow(
      'the queue is down',
    );
    expect(await countRows('1.8')).toBe(0);
    expect(await readdir(join(server.folder, 'incoming'))).toEqual([]);
    expect((await store([dicomFile({ study: '1.8', series: '1.8.1', sop: '1.8.1.1' })])).status).toBe(200);
  });

  it.each([
    ['a path in the study UID', { study: '../../etc/x', series: '1', sop: '2' }, 0xa900],
    ['a UID of 65 digits', { study: '1'.repeat(65), series: '1', sop: '3' }, 0xa900],
    ['no SOP Instance UID', { study: '1.9', series: '1', sop: '' }, 0xa900],
    ['dots alone', { study: '..', series: '1', sop: '4' }, 0xa900],
  ])('refuses an instance with %s and writes nothing', async (_what, uids, reason) => {
    const { status, reasons } = await store([dicomFile(uids)]);
    expect(status).toBe(409);
    expect(reasons).toEqual([reason]);
  });

  it('refuses a patient id with a line break (T28)', async () => {
    const file = dicomFile({
      study: '1.10',
      series: '1.10.1',
      sop: '1.10.1.1',
      elements: [['00100020', 'LO', 'A\r\nPID|1']],
    });
    expect((await store([file])).status).toBe(409);
    expect(await countRows('1.10')).toBe(0);
  });

  it('refuses the deflated transfer syntax', async () => {
    const file = dicomFile({
      study: '1.11',
      series: '1.11.1',
      sop: '1.11.1.1',
      transferSyntax: '1.2.840.10008.1.2.1.99',
    });
    expect((await store([file])).status).toBe(409);
  });

  it('refuses an instance of another study than the one in the URL', async () => {
    const file = dicomFile({ study: '1.12', series: '1.12.1', sop: '1.12.1.1' });
    const { status, reasons } = await store([file], { path: '/studies/1.13' });
    expect(status).toBe(409);
    expect(reasons).toEqual([0xa901]);
    expect((await store([file], { path: '/studies/1.12' })).status).toBe(200);
  });

  it.each([
    ['an empty message', 'multipart/related; type="application/dicom"; boundary=x', '--x--\r\n', 400],
    ['a body cut off', 'multipart/related; type="application/dicom"; boundary=x', '--x\r\n\r\nabc', 400],
    ['no boundary', 'multipart/related; type="application/dicom"', '', 400],
    ['a boundary of 71 characters', `multipart/related; boundary=${'x'.repeat(71)}`, '', 400],
    ['JSON metadata', 'multipart/related; type="application/dicom+json"; boundary=x', '--x--', 415],
    ['JSON', 'application/json', '{}', 415],
    ['a form', 'multipart/form-data; boundary=x', '--x--', 415],
  ])('answers %s with its status', async (_what, contentType, body, status) => {
    expect(
      (
        await fetch(`${server.root}/studies`, {
          method: 'POST',
          headers: { 'content-type': contentType },
          body,
        })
      ).status,
    ).toBe(status);
  });

  it('answers 400 for a study in the URL that is no UID', async () => {
    expect(
      (await store([dicomFile({ study: '1.2', series: '1', sop: '9.9' })], { path: '/studies/1.2%2F3%3Fx=' }))
        .status,
    ).toBe(400);
  });

  it('clears away what a killed process left, but nothing that may still be arriving', async () => {
    await writeFile(join(server.folder, 'incoming', 'left.part'), 'x');
    expect(await sweepIncoming(server.folder, new Date())).toBe(0);
    expect(await sweepIncoming(server.folder, new Date(Date.now() + INCOMING_KEPT_MS + 1_000))).toBe(1);
  });

  it('answers 503 while its files cannot be written, and stores again afterwards', async () => {
    const incoming = join(server.folder, 'incoming');
    await rm(incoming, { recursive: true });
    await writeFile(incoming, 'a file where the folder should be');
    const file = dicomFile({ study: '1.15', series: '1.15.1', sop: '1.15.1.1' });
    const { status } = await store([file]);
    await rm(incoming);
    expect(status).toBe(503);
    expect((await store([file])).status).toBe(200);
  });

  it('leaves no half file when the sender is gone in the middle', async () => {
    await new Promise<void>((resolve) => {
      const request = httpRequest(`${server.root}/studies`, {
        method: 'POST',
        headers: {
          'content-type': 'multipart/related; type="application/dicom"; boundary=b',
          'content-length': 1_000_000,
        },
      });
      request.on('error', () => resolve());
      request.write(
        Buffer.concat([Buffer.from('--b\r\n\r\n'), dicomFile({ study: '1.14', series: '1', sop: '1.14.1' })]),
      );
      setTimeout(() => request.destroy(), 50);
    });
    await expect.poll(async () => (await readdir(join(server.folder, 'incoming'))).length).toBe(0);
    await expect(stat(join(server.folder, '1.14'))).rejects.toThrow();
  });
});

describe('an enhanced CT of 1,000 frames', () => {
  const FRAMES = 1_000;
  it('is stored, served with its functional groups, and read as one volume in the order of its places', async () => {
    const [base] = [...phantomSeries({ slices: 1, rows: 32, columns: 32 }).slices()];
    const file = enhancedFile(
      Array.from({ length: FRAMES }, (_, at) => ({
        attributes: { ...base!.attributes, ImagePositionPatient: [0, 0, -0.5 * at] },
        stored: base!.stored.map(() => at),
      })),
    );
    const study = String(base!.attributes['StudyInstanceUID']);
    const { status, stored } = await store([file]);
    expect(status).toBe(200);
    const answer = await fetch(`${server.root}/studies/${study}/metadata`);
    const [metadata] = (await answer.json()) as DicomJson[];
    expect(jsonItems(metadata!, '52009230')).toHaveLength(FRAMES);
    const sop = stored[0];
    const path = join(server.folder, study, String(base!.attributes['SeriesInstanceUID']), `${sop}.dcm`);
    const workers = new PixelWorkers({ size: 1 });
    const tensors = await new TensorReader(workers).read({
      paths: [path],
      manifest: {
        fits: { modality: ['CT'] },
        pixels: [{ op: 'modality_values' }],
        inputs: [{ name: 'image', gives: 'image', layout: 'DHW', dtype: 'int16' }],
      },
      timeLimitMs: 60_000,
    });
    const values = new Int16Array(tensors.image.bytes);
    const firsts = Array.from({ length: FRAMES }, (_, slice) => values[slice * 32 * 32]);
    expect(firsts).toEqual(Array.from({ length: FRAMES }, (_, slice) => FRAMES - 1 - slice - 1024));
    expect(tensors.frames[0]).toEqual({ file: 0, frame: FRAMES });
    await workers.close();
  }, 60_000);

  it('has room for its elements by its bytes; a small file with as many is refused as broken', async () => {
    expect([elementsAllowed(100_000), elementsAllowed(2_000_000), elementsAllowed(1e9)]).toEqual([
      20_000, 50_000, 200_000,
    ]);
    const elements = Array.from({ length: 20_001 }, (_, at) => {
      const tag = (0x00211000 + at).toString(16).padStart(8, '0');
      return [tag, 'LO', ''] as const;
    });
    const file = dicomFile({ study: '1.20', series: '1.20.1', sop: '1.20.1.1', elements });
    const { status, reasons } = await store([file]);
    expect([status, reasons]).toEqual([409, [FAILURE_REASONS.invalid]]);
  });
});

/** The server's own intake with one more listener, which fails. */
class ArchiveIntakeWith {
  constructor(private readonly error: Error) {}

  async take(file: Buffer) {
    const own = new ArchiveIntake(
      (intake as unknown as { store: never }).store,
      server.folder,
      new ReceivingStudies(),
    );
    own.onStored(() => Promise.reject(this.error));
    async function* body() {
      yield file;
    }
    async function* parts() {
      yield { headers: {}, body: body() };
    }
    return own.take(parts(), null);
  }
}

async function countRows(study: string): Promise<number> {
  const [row] = await server.database.run<{ count: string }>(
    { text: 'SELECT count(*) FROM archive_instance WHERE study_instance_uid = $1' },
    [study],
  );
  return Number(row?.count);
}

async function store(files: readonly Buffer[], options: { path?: string } = {}) {
  const parts = files.flatMap((file) => [
    Buffer.from('\r\n--b\r\nContent-Type: application/dicom\r\n\r\n'),
    file,
  ]);
  const response = await fetch(server.root + (options.path ?? '/studies'), {
    method: 'POST',
    headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' },
    body: Buffer.concat([...parts, Buffer.from('\r\n--b--')]),
  });
  const body = (await response.json()) as DicomJson;
  const reasons = ['00081198', '0008119A'].flatMap((tag) =>
    jsonItems(body, tag).map((item) => jsonNumber(item, '00081197')),
  );
  const stored = jsonItems(body, '00081199').map((item) => jsonString(item, '00081155'));
  return { status: response.status, url: jsonString(body, '00081190'), stored, reasons };
}
