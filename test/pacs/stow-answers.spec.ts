import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { dicomwebConnection } from '../../src/dicomweb/dicomweb-connection.ts';
import { DicomwebStore } from '../../src/dicomweb/stow.ts';
import type { MadeObject } from '../../src/steps/pacs/pacs-object.store.ts';
import { PacsObjectStore } from '../../src/steps/pacs/pacs-object.store.ts';
import { PacsStoreStep, STORE_ANSWERS_MAX } from '../../src/steps/pacs/pacs-store.step.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

/** A PACS that answers STOW-RS as it is told: per instance null (stored) or a failure reason; or a bare status. */
type Script = { readonly reasons: Readonly<Record<string, number | null>> } | { readonly status: number };

let database: FreshDatabase;
let pacs: Server;
let script: Script;
let received = 0;
let objects: PacsObjectStore;
let step: PacsStoreStep;

beforeAll(async () => {
  database = await freshDatabase();
  objects = new PacsObjectStore(database.database);
});
afterAll(() => database.close());

beforeEach(async () => {
  await database.database.run({ text: 'DELETE FROM pacs_object' });
  received = 0;
  pacs = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      received += 1;
      const { status, body } = answerOf(script);
      response.writeHead(status, { 'content-type': 'application/dicom+json' }).end(body);
    });
  });
  pacs.listen(0, '127.0.0.1');
  await once(pacs, 'listening');
  const { port } = pacs.address() as { port: number };
  const connection = dicomwebConnection(new URL(`http://127.0.0.1:${port}/dicom-web`));
  step = new PacsStoreStep(new DicomwebStore(connection), objects, database.database);
  const made = { reportId: 'r', reportVersion: 1, contentDigest: null, note: null };
  const two = (['sr', 'seg'] as const).map(objectOf);
  await database.database.transaction((tx) => objects.add(tx, { ...made, objects: two }));
});
afterEach(async () => {
  pacs.closeAllConnections();
  await new Promise((resolve) => pacs.close(resolve));
});

const objectOf = (kind: 'sr' | 'seg'): MadeObject => ({
  kind,
  sopInstanceUid: kind === 'sr' ? '2.25.1' : '2.25.2',
  sopClassUid: '1.2',
  seriesInstanceUid: '2.25.9',
  studyInstanceUid: '2.25.8',
  bytes: Uint8Array.of(1, 2, 3, 4),
});

function answerOf(said: Script): { status: number; body: string } {
  if ('status' in said) return { status: said.status, body: '' };
  const rows = Object.entries(said.reasons);
  const uid = (value: string) => ({ '00081155': { vr: 'UI', Value: [value] } });
  const stored = rows.filter(([, reason]) => reason === null).map(([value]) => uid(value));
  const failed = rows
    .filter(([, reason]) => reason !== null)
    .map(([value, reason]) => ({ ...uid(value), '00081197': { vr: 'US', Value: [reason] } }));
  const body = {
    ...(stored.length > 0 ? { '00081199': { vr: 'SQ', Value: stored } } : {}),
    ...(failed.length > 0 ? { '00081198': { vr: 'SQ', Value: failed } } : {}),
  };
  const status = failed.length === 0 ? 200 : stored.length === 0 ? 409 : 202;
  return { status, body: JSON.stringify(body) };
}

const HANDOFF = { diagnosticReportId: 'r', versionId: 1, studyInstanceUid: '2.25.8' };

/** One run of the step, with its write committed; gives how it ended. */
async function run(): Promise<string> {
  const result = await step.run(HANDOFF);
  if ('write' in result && result.write)
    await database.database.transaction((tx) => result.write!(tx) as Promise<void>);
  return 'why' in result ? `${result.kind}: ${result.why}` : result.kind;
}

const states = async () =>
  Object.fromEntries((await objects.ofReport('r')).map((one) => [one.kind, one.state]));

it('all stored: the bytes are let go, and a repeat sends nothing', async () => {
  script = { reasons: { '2.25.1': null, '2.25.2': null } };
  expect(await run()).toBe('done');
  expect(await states()).toEqual({ sr: 'stored', seg: 'stored' });
  expect(await objects.waiting('r', 1)).toEqual([]);
  expect(await run()).toBe('skipped: the PACS has the objects of this version');
  expect(received).toBe(1);
});

it('"already there" (45070), as after a crash before our commit, is success', async () => {
  script = { reasons: { '2.25.1': 45_070, '2.25.2': 45_070 } };
  expect(await run()).toBe('done');
  expect(await states()).toEqual({ sr: 'stored', seg: 'stored' });
});

it('a part stored (202) is read part by part: what is refused for good is named, what is stored stays stored', async () => {
  script = { reasons: { '2.25.1': null, '2.25.2': 0x0122 } };
  expect(await run()).toBe('given-up: the PACS refused seg: 0122 SOP class not supported');
  expect(await states()).toEqual({ sr: 'stored', seg: 'refused' });
  script = { reasons: { '2.25.2': null } };
  expect(await run()).toBe('done');
  expect(await states()).toEqual({ sr: 'stored', seg: 'stored' });
});

it('a reason that may pass is waited for, and after many answers somebody is told', async () => {
  script = { reasons: { '2.25.1': null, '2.25.2': 0xa700 } };
  for (let answer = 1; answer < STORE_ANSWERS_MAX; answer += 1)
    expect(await run()).toBe('later: the PACS answered seg: A700 out of resources');
  expect(await run()).toBe('given-up: the PACS refused seg: A700 out of resources');
});

it.each([
  [503, 'later: dicomweb.status'],
  [404, 'given-up: dicomweb.store-not-offered'],
  [501, 'given-up: dicomweb.store-not-offered'],
  [401, 'given-up: dicomweb.unauthorized'],
  [413, 'given-up: dicomweb.too-large'],
  [200, 'later: dicomweb.answer'],
])('status %d without a word about the instances ends as %s, and nothing is lost', async (status, end) => {
  script = { status };
  expect(await run()).toContain(end);
  expect(await states()).toEqual({ sr: 'waiting', seg: 'waiting' });
  script = { reasons: { '2.25.1': null, '2.25.2': null } };
  expect(await run()).toBe('done');
});

it('a PACS that is down is waited for', async () => {
  pacs.closeAllConnections();
  await new Promise((resolve) => pacs.close(resolve));
  expect(await run()).toBe('later: dicomweb.unreachable');
  expect(await states()).toEqual({ sr: 'waiting', seg: 'waiting' });
});
