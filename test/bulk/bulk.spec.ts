import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXPORT_PAGE_ROWS } from '../../src/fhir/bulk/export-pages.store.ts';
import { IMPORT_READ_BYTES } from '../../src/fhir/bulk/read-lines.ts';
import { BULK_JOBS_MAX_PER_CLIENT } from '../../src/fhir/bulk/start-job.ts';
import { registerTerminology } from '../../src/fhir/terminology-registry.ts';
import { type Asked, type FhirApp, startFhirApp } from './fhir-app.ts';

const ASYNC = { prefer: 'respond-async' };
const NDJSON = { 'content-type': 'application/fhir+ndjson' };
let app: FhirApp;
let shelf: string;

beforeAll(async () => {
  shelf = await mkdtemp(join(tmpdir(), 'prelim-shelf-'));
  app = await startFhirApp({ BULK_IMPORT_FOLDER: shelf, BULK_IMPORT_BYTES_MAX: String(64 * 1024 * 1024) });
});
afterAll(async () => {
  await app.close();
  await rm(shelf, { recursive: true, force: true });
});

/** A path of the test server for a URL it made. */
const local = (url: string) => url.replace(/^http:\/\/[^/]+/, app.url);

async function ended(start: Asked, headers: Record<string, string> = {}): Promise<Asked> {
  expect(start.status, start.text).toBe(202);
  const status = local(start.headers.get('content-location') ?? '');
  for (let look = 0; look < 400; look += 1) {
    const answer = await app.ask('GET', status, undefined, headers);
    if (answer.status !== 202) return answer;
    expect(answer.headers.get('x-progress')).toBeTruthy();
    expect(answer.headers.get('retry-after')).toBe('2');
    await sleep(25);
  }
  throw new Error('the job does not end');
}

const importLines = async (lines: readonly (string | object)[], headers: Record<string, string> = {}) =>
  ended(
    await app.ask(
      'POST',
      '$import',
      `${lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n')}\n`,
      { ...NDJSON, ...headers },
    ),
    headers,
  );

async function exported(path: string, headers: Record<string, string> = {}) {
  const done = await ended(await app.ask('GET', path, undefined, { ...ASYNC, ...headers }), headers);
  expect(done.status, done.text).toBe(200);
  // biome-ignore lint/suspicious/noExplicitAny: whatever was exported
  const lines: any[] = [];
  for (const { type, url, count } of [...done.json.output, ...done.json.deleted]) {
    const file = await app.ask('GET', local(url), undefined, headers);
    expect(file.headers.get('content-type')).toBe('application/fhir+ndjson');
    const all = file.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(all.length).toBe(count);
    expect(all.every((one) => one.resourceType === type)).toBe(true);
    lines.push(...all);
  }
  return { manifest: done.json, headers: done.headers, lines };
}

const ids = (lines: { resourceType: string; id: string }[]) =>
  lines.map((one) => `${one.resourceType}/${one.id}`).sort();
const patient = (id: string, more: object = {}) => ({ resourceType: 'Patient', id, ...more });
const observation = (id: string, subject: string, more: object = {}) => ({
  resourceType: 'Observation',
  id,
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: `Patient/${subject}` },
  ...more,
});

describe('$import', () => {
  it('writes the lines of a body with their ids, and says line by line what it refused', async () => {
    const done = await importLines([
      patient('p1'),
      patient('p2'),
      'this is no JSON',
      '',
      observation('o1', 'p1'),
      observation('o2', 'p2'),
      observation('bad', 'p1', { status: 'nonsense' }),
      patient('p1', { active: true }),
      { resourceType: 'Patient' },
      { resourceType: 'AuditEvent' },
    ]);
    expect(done.status, done.text).toBe(200);
    expect(done.json.extension).toEqual({ imported: 6, refused: 3 });
    const errors = await app.ask('GET', local(done.json.error[0].url));
    const outcomes = errors.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(outcomes.map((one) => one.extension[0].valuePositiveInt)).toEqual([3, 7, 10]);
    expect(outcomes[1].issue[0].details.coding[0].code).toBe('fhir.validation');
    expect(errors.text).not.toContain('nonsense');
    const p1 = await app.ask('GET', 'Patient/p1');
    expect(p1.json).toMatchObject({ active: true, meta: { versionId: '2' } });
    expect((await app.ask('GET', 'Observation/bad')).status).toBe(404);
  });

  it('holds lines to the value sets of their profiles, which are asked once for all of them', async () => {
    const asked: string[][] = [];
    registerTerminology({
      membersOf: async () => null,
      below: async () => null,
      above: async () => null,
      subsumes: async () => null,
      holds: async (_set, codes) => {
        asked.push(codes.map(({ code }) => code));
        return codes.map(({ code }) => code !== 'bad');
      },
    });
    const url = 'http://example.org/bound';
    const profile = {
      ...{ resourceType: 'StructureDefinition', id: 'bound', url, name: 'bound', status: 'active' },
      ...{ kind: 'resource', abstract: false, type: 'Observation', derivation: 'constraint' },
      baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Observation',
      differential: {
        element: [
          { id: 'Observation', path: 'Observation' },
          {
            id: 'Observation.code',
            path: 'Observation.code',
            binding: { strength: 'required', valueSet: 'http://example.org/set' },
          },
        ],
      },
    };
    expect((await app.ask('PUT', 'StructureDefinition/bound', profile)).status).toBe(201);
    const coded = (id: string, code: string) => ({
      ...{ resourceType: 'Observation', id, status: 'final', meta: { profile: [url] } },
      code: { coding: [{ system: 'http://example.org/s', code }] },
    });
    const done = await importLines(['one', 'two', 'bad', 'two'].map((code, n) => coded(`coded-${n}`, code)));
    registerTerminology(null);
    expect(done.json.extension).toEqual({ imported: 3, refused: 1 });
    expect(asked).toEqual([['one', 'two', 'bad']]);
  });

  it('makes no new version of what is stored already: a file may be imported twice', async () => {
    const lines = [patient('twice'), observation('twice', 'twice')];
    await importLines(lines);
    await importLines(lines);
    expect((await app.ask('GET', 'Patient/twice')).json.meta.versionId).toBe('1');
  });

  it('reads files of the import folder by name, and holds them to their type', async () => {
    await writeFile(
      join(shelf, 'patients.ndjson'),
      `${JSON.stringify(patient('f1'))}\n${JSON.stringify(observation('f2', 'f1'))}`,
    );
    const input = [
      { name: 'url', valueUri: 'patients.ndjson' },
      { name: 'type', valueCode: 'Patient' },
    ];
    const done = await ended(
      await app.ask('POST', '$import', {
        resourceType: 'Parameters',
        parameter: [{ name: 'input', part: input }],
      }),
    );
    expect(done.json.extension).toEqual({ imported: 1, refused: 1 });
  });

  it.each([
    '../secret',
    '/etc/passwd',
    'http://example.org/a.ndjson',
    'file:///etc/passwd',
    '.hidden',
    'missing.ndjson',
    'link.ndjson',
    'a\0b',
  ])('refuses to read %j: nothing is fetched and nothing outside the folder is opened', async (name) => {
    await symlink('/etc/passwd', join(shelf, 'link.ndjson')).catch(() => undefined);
    const answer = await app.ask('POST', '$import', {
      resourceType: 'Parameters',
      parameter: [{ name: 'input', part: [{ name: 'url', valueUri: name }] }],
    });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('root:');
  });

  it('refuses a line longer than a resource may be, and reads on behind it', async () => {
    const long = JSON.stringify(patient('long', { name: [{ text: 'x'.repeat(IMPORT_READ_BYTES + 10) }] }));
    const done = await importLines([patient('before'), long, patient('after')]);
    expect(done.json.extension).toEqual({ imported: 2, refused: 1 });
    expect((await app.ask('GET', 'Patient/after')).status).toBe(200);
  });

  it('refuses an empty body, a compressed one, and one above BULK_IMPORT_BYTES_MAX; nothing of them stays', async () => {
    const before = readdirSync(join(app.folder, 'bulk'));
    expect((await app.ask('POST', '$import', '', NDJSON)).status).toBe(400);
    expect((await app.ask('POST', '$import', 'x', { ...NDJSON, 'content-encoding': 'gzip' })).status).toBe(
      415,
    );
    expect((await app.ask('POST', '$import', 'x'.repeat(64 * 1024 * 1024 + 1), NDJSON)).status).toBe(413);
    expect(readdirSync(join(app.folder, 'bulk'))).toEqual(before);
  });

  it('writes only what the token allows', async () => {
    const narrow = { 'x-scope': 'system/Patient.cu' };
    const done = await importLines([patient('allowed'), observation('denied', 'allowed')], narrow);
    expect(done.json.extension).toEqual({ imported: 1, refused: 1 });
    expect((await app.ask('GET', 'Observation/denied')).status).toBe(404);
  });
});

describe('$export', () => {
  beforeAll(async () => {
    const many = Array.from({ length: EXPORT_PAGE_ROWS + 200 }, (_, at) => observation(`many-${at}`, 'p1'));
    await importLines(many);
    await app.ask('PUT', 'Practitioner/doc', { resourceType: 'Practitioner', id: 'doc' });
    await app.ask('PUT', 'Group/g1', {
      resourceType: 'Group',
      id: 'g1',
      type: 'person',
      actual: true,
      member: [{ entity: { reference: 'Patient/p2' } }, { entity: { reference: 'Patient/twice' } }],
    });
  });

  it('of the system gives every resource once, as it is stored, in files by type', async () => {
    const { manifest, headers, lines } = await exported('$export?_type=Patient,Observation,Practitioner');
    expect(manifest.requiresAccessToken).toBe(true);
    expect(new Date(manifest.transactionTime).getTime()).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(headers.get('expires') ?? '')).toBeGreaterThan(Date.now());
    const all = ids(lines);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((one) => one.startsWith('Observation/many-')).length).toBe(EXPORT_PAGE_ROWS + 200);
    expect(all).toContain('Practitioner/doc');
    const stored = await app.ask('GET', 'Patient/p1');
    expect(lines.find((one) => one.id === 'p1')).toEqual(stored.json);
  });

  it('of all patients gives what is in a patient compartment', async () => {
    const { lines } = await exported('Patient/$export');
    const all = ids(lines);
    expect(all).toContain('Observation/o1');
    expect(all.some((one) => one.startsWith('Practitioner/'))).toBe(false);
  });

  it('of a group gives its members and what is theirs, each once', async () => {
    const { lines } = await exported('Group/g1/$export?_type=Patient,Observation');
    expect(ids(lines)).toEqual(['Observation/o2', 'Observation/twice', 'Patient/p2', 'Patient/twice']);
  });

  it('_typeFilter, _elements and _since narrow it; deletions since then are listed', async () => {
    const filtered = await exported(
      `$export?_type=Observation&_typeFilter=${encodeURIComponent('Observation?subject=Patient/p2&status=final')}&_elements=status`,
    );
    expect(ids(filtered.lines)).toEqual(['Observation/o2']);
    expect(filtered.lines[0]).not.toHaveProperty('subject');
    const since = new Date().toISOString();
    await app.ask('PUT', 'Patient/later', patient('later'));
    await app.ask('DELETE', 'Patient/f1');
    const { lines, manifest } = await exported(`$export?_type=Patient&_since=${since}`);
    expect(lines.map((one) => one.id ?? one.entry[0].request.url)).toEqual(['later', 'Patient/f1']);
    expect(manifest.deleted[0].type).toBe('Bundle');
  });

  it('shows one point in time: what changes, comes or goes after the kick-off is as it was', async () => {
    for (const id of ['keep', 'change', 'vanish'])
      await app.ask('PUT', `Organization/${id}`, { resourceType: 'Organization', id, name: 'old' });
    await sleep(5);
    const start = await app.ask('GET', '$export?_type=Organization', undefined, ASYNC);
    await app.ask('PUT', 'Organization/change', { resourceType: 'Organization', id: 'change', name: 'new' });
    await app.ask('DELETE', 'Organization/vanish');
    await app.ask('PUT', 'Organization/come', { resourceType: 'Organization', id: 'come', name: 'new' });
    const done = await ended(start);
    const file = await app.ask('GET', local(done.json.output[0].url));
    const lines = file.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ id, name }) => [id, name])).toEqual([
      ['change', 'old'],
      ['keep', 'old'],
      ['vanish', 'old'],
    ]);
  });

  it('gives only types that the token may search', async () => {
    const narrow = { 'x-scope': 'system/Practitioner.rs', 'x-client': 'narrow' };
    const { lines } = await exported('$export', narrow);
    expect(ids(lines)).toEqual(['Practitioner/doc']);
    expect((await app.ask('GET', '$export?_type=Patient', undefined, { ...ASYNC, ...narrow })).status).toBe(
      403,
    );
  });

  it('status and files are the client’s alone: another token, or a narrower one, gets 404', async () => {
    const start = await app.ask('GET', '$export?_type=Practitioner', undefined, ASYNC);
    const done = await ended(start);
    const status = local(start.headers.get('content-location') ?? '');
    const file = local(done.json.output[0].url);
    for (const url of [status, file]) {
      expect((await app.ask('GET', url, undefined, { 'x-client': 'b' })).status).toBe(404);
      expect((await app.ask('GET', url, undefined, { 'x-scope': 'system/Patient.r' })).status).toBe(404);
    }
    expect((await app.ask('DELETE', status, undefined, { 'x-client': 'b' })).status).toBe(404);
    expect((await app.ask('GET', status)).status).toBe(200);
  });

  it('DELETE ends it and removes its files', async () => {
    const start = await app.ask('GET', '$export', undefined, ASYNC);
    const status = local(start.headers.get('content-location') ?? '');
    expect((await app.ask('DELETE', status)).status).toBe(202);
    expect((await app.ask('GET', status)).status).toBe(404);
    const done = await app.ask('GET', '$export?_type=Practitioner', undefined, ASYNC);
    await ended(done);
    const again = local(done.headers.get('content-location') ?? '');
    expect((await app.ask('DELETE', again)).status).toBe(202);
    expect((await app.ask('GET', again)).status).toBe(404);
    await sleep(300);
    for (const url of [status, again])
      expect(existsSync(join(app.folder, 'bulk', url.split('/').at(-1) ?? ''))).toBe(false);
  });

  it.each([
    ['$export', {}, 400],
    ['$export?_outputFormat=text/csv', ASYNC, 400],
    ['$export?_type=Nothing', ASYNC, 400],
    ['$export?_since=yesterday', ASYNC, 400],
    ['Patient/$export?_type=Practitioner', ASYNC, 400],
    ['$export?_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal', ASYNC, 400],
    ['$export?_type=Patient&_typeFilter=Patient%3Fcolour%3Dred', ASYNC, 400],
    ['$export?_type=Patient&_elements=colour', ASYNC, 400],
    ['$export?colour=red', ASYNC, 400],
    ['Group/nobody/$export', ASYNC, 404],
    ['_bulk/../../etc/passwd', {}, 404],
    ['_bulk/x', {}, 404],
    ['_bulk/00000000-0000-0000-0000-000000000000', {}, 404],
  ] as [string, Record<string, string>, number][])(
    '%s with %j answers %i with an outcome',
    async (path, headers, status) => {
      const answer = await app.ask('GET', path, undefined, headers);
      expect(answer.status, answer.text).toBe(status);
      expect(answer.json.resourceType).toBe('OperationOutcome');
    },
  );

  it('is refused inside a Bundle', async () => {
    const batch = {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [{ request: { method: 'GET', url: '$export' } }],
    };
    const { json } = await app.ask('POST', '', batch, ASYNC);
    expect(json.entry[0].response.status).toMatch(/^400/);
  });

  it('a client may have BULK_JOBS_MAX_PER_CLIENT under way', async () => {
    const idle = await startFhirApp({}, { runJobs: false });
    for (let at = 0; at < BULK_JOBS_MAX_PER_CLIENT; at += 1)
      expect((await idle.ask('GET', '$export', undefined, ASYNC)).status).toBe(202);
    const refused = await idle.ask('GET', '$export', undefined, ASYNC);
    expect(refused.status).toBe(429);
    expect((await idle.ask('GET', '$export', undefined, { ...ASYNC, 'x-client': 'b' })).status).toBe(202);
    await idle.close();
  });
});

describe('time', () => {
  it('files go when BULK_FILES_HOURS are over: the status answers 404 then', async () => {
    const start = await app.ask('GET', '$export?_type=Practitioner', undefined, ASYNC);
    await ended(start);
    const status = local(start.headers.get('content-location') ?? '');
    const id = status.split('/').at(-1) ?? '';
    expect(existsSync(join(app.folder, 'bulk', id))).toBe(true);
    await app.database.run({
      text: `UPDATE outbox SET not_before = now() WHERE queue = 'bulk-expire' AND payload->>'jobId' = '${id}'`,
    });
    for (let look = 0; look < 200 && existsSync(join(app.folder, 'bulk', id)); look += 1) await sleep(50);
    await sleep(100);
    expect((await app.ask('GET', status)).status).toBe(404);
  });
});
