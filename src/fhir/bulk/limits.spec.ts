import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Group } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, startFhirApp } from '../../../test/bulk/fhir-app.ts';
import { BulkFolder } from './bulk-folder.ts';
import { GROUP_MEMBERS_MAX, membersOf } from './export-units.ts';
import { TYPE_FILTERS_MAX } from './read-export-request.ts';
import { IMPORT_BATCH_BYTES, IMPORT_BATCH_LINES, IMPORT_READ_BYTES, readLines } from './read-lines.ts';
import { EXPORT_FILE_BYTES, writeLines } from './run-export.ts';
import { IMPORT_WRITE_LINES, inWrites } from './run-import.ts';
import { IMPORT_FILES_MAX } from './start-job.ts';

let folder: string;
let app: FhirApp;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-lines-'));
  app = await startFhirApp({ BULK_IMPORT_FOLDER: folder }, { runJobs: false });
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true, force: true });
});

async function linesOf(content: string, from = { offset: 0, line: 0 }) {
  const file = join(folder, 'lines.ndjson');
  await writeFile(file, content);
  const handle = await open(file);
  try {
    return await readLines(handle, from);
  } finally {
    await handle.close();
  }
}

describe('lines of an import', () => {
  it('are numbered, need no newline at the end, and say where the next begins', async () => {
    const lines = await linesOf('a\n\nä');
    expect(lines.map(({ number, bytes, end }) => [number, bytes?.toString(), end])).toEqual([
      [1, 'a', 2],
      [2, '', 3],
      [3, 'ä', 5],
    ]);
  });

  it('come IMPORT_BATCH_LINES at a time, and go on from where the batch before ended', async () => {
    const content = Array.from({ length: IMPORT_BATCH_LINES + 3 }, (_, at) => `line ${at}`).join('\n');
    const first = await linesOf(content);
    expect(first.length).toBe(IMPORT_BATCH_LINES);
    const next = await linesOf(content, { offset: first.at(-1)?.end ?? 0, line: IMPORT_BATCH_LINES });
    expect(next.map((one) => one.bytes?.toString())).toEqual([500, 501, 502].map((at) => `line ${at}`));
    expect(next[0]?.number).toBe(IMPORT_BATCH_LINES + 1);
  });

  it('come IMPORT_BATCH_BYTES at a time, and never none where there is one', async () => {
    const line = 'z'.repeat(IMPORT_BATCH_BYTES / 4);
    expect((await linesOf(`${line}\n${line}\n${line}\n${line}\n`)).length).toBe(3);
    expect((await linesOf(`${'z'.repeat(IMPORT_BATCH_BYTES)}\nnext\n`)).length).toBe(2);
  });

  it('never come in halves at the end of what is read at once', async () => {
    const line = 'y'.repeat(1_500_000);
    const first = await linesOf(`${line}\n${line}\n${line}\n`);
    expect(first.map((one) => one.bytes?.length)).toEqual([1_500_000, 1_500_000]);
  });

  it('longer than IMPORT_READ_BYTES are passed over to their end', async () => {
    const [line] = await linesOf(`${'x'.repeat(IMPORT_READ_BYTES * 2 + 5)}\nnext`);
    expect(line).toEqual({ number: 1, bytes: null, end: IMPORT_READ_BYTES * 2 + 6 });
  });

  it('there are none at the end of the file', async () => {
    expect(await linesOf('a\n', { offset: 2, line: 1 })).toEqual([]);
  });
});

describe('files of an export', () => {
  const file = { number: 1, kind: 'output', type: 'Patient', lines: 5, bytes: EXPORT_FILE_BYTES } as const;

  it('are closed at EXPORT_FILE_BYTES: the next line begins another', async () => {
    const files = await writeLines(
      'full',
      'Patient',
      { output: ['{}'], deleted: [] },
      [file],
      new BulkFolder(folder),
    );
    expect(files).toEqual([file, { number: 2, kind: 'output', type: 'Patient', lines: 1, bytes: 3 }]);
  });

  it('are cut to what counts before more is written: what a crash left behind is gone', async () => {
    const place = new BulkFolder(folder);
    const kept = await place.append('cut', { ...file, lines: 0, bytes: 0 }, ['first']);
    await place.append('cut', kept, ['written, then the process died before it counted']);
    await place.append('cut', kept, ['second']);
    expect(await readFile(place.pathOf('cut', 1), 'utf8')).toBe('first\nsecond\n');
  });
});

describe('what is refused before anything is begun', () => {
  it('a group with more than GROUP_MEMBERS_MAX members', () => {
    const member = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ entity: { reference: `Patient/${at}` } }));
    const group = (count: number): Group => ({
      resourceType: 'Group',
      type: 'person',
      actual: true,
      member: member(count),
    });
    expect(membersOf(group(GROUP_MEMBERS_MAX)).length).toBe(GROUP_MEMBERS_MAX);
    expect(() => membersOf(group(GROUP_MEMBERS_MAX + 1))).toThrow(/members/);
  });

  it('members that left and members that are no patients do not count', () => {
    const member = [
      { entity: { reference: 'Patient/a' } },
      { entity: { reference: 'Patient/a' } },
      { entity: { reference: 'Patient/b' }, inactive: true },
      { entity: { reference: 'Group/c' } },
      { entity: { reference: 'http://elsewhere/Patient/d' } },
    ];
    expect(membersOf({ resourceType: 'Group', type: 'person', actual: true, member })).toEqual(['a']);
  });

  it('more than TYPE_FILTERS_MAX searches, and more than IMPORT_FILES_MAX files', async () => {
    const filter = `_typeFilter=${encodeURIComponent('Patient?active=true')}`;
    const many = (count: number) =>
      `$export?_type=Patient&${Array.from({ length: count }, () => filter).join('&')}`;
    expect(
      (await app.ask('GET', many(TYPE_FILTERS_MAX), undefined, { prefer: 'respond-async' })).status,
    ).toBe(202);
    expect(
      (await app.ask('GET', many(TYPE_FILTERS_MAX + 1), undefined, { prefer: 'respond-async' })).status,
    ).toBe(400);
    await writeFile(join(folder, 'a.ndjson'), '');
    const input = { name: 'input', part: [{ name: 'url', valueUri: 'a.ndjson' }] };
    const parameter = Array.from({ length: IMPORT_FILES_MAX + 1 }, () => input);
    expect((await app.ask('POST', '$import', { resourceType: 'Parameters', parameter })).status).toBe(400);
  });
});

it('a batch is written a hundred resources at once, in order, and no resource twice in one write', () => {
  const update = (id: string) => ({ kind: 'update', resource: { resourceType: 'Patient', id } }) as const;
  const plain = Array.from({ length: IMPORT_WRITE_LINES * 2 + 1 }, (_, n) => update(`p${n}`));
  expect(inWrites(plain).map((group) => group.length)).toEqual([IMPORT_WRITE_LINES, IMPORT_WRITE_LINES, 1]);
  expect(inWrites(plain).flat()).toEqual(plain);
  expect(inWrites([update('a'), update('b'), update('a'), update('b')]).map((group) => group.length)).toEqual(
    [2, 2],
  );
});
