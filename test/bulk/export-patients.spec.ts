import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXPORT_PATIENTS_MAX } from '../../src/fhir/bulk/read-export-request.ts';
import { COMMA_VALUES_MAX } from '../../src/fhir/search/parse-filter.ts';
import { type FhirApp, startFhirApp } from './fhir-app.ts';

let app: FhirApp;
const MANY = COMMA_VALUES_MAX + 5;
beforeAll(async () => {
  app = await startFhirApp();
  const patients = Array.from(
    { length: MANY },
    (_, at) => ({ resourceType: 'Patient', id: `p${at}` }) as const,
  );
  const observation = (id: string, of: string) =>
    ({
      resourceType: 'Observation',
      id,
      status: 'final',
      code: { text: 'x' },
      subject: { reference: `Patient/${of}` },
    }) as const;
  const group = {
    resourceType: 'Group',
    id: 'g',
    type: 'person',
    actual: true,
    member: ['p1', 'p2'].map((id) => ({ entity: { reference: `Patient/${id}` } })),
  } as const;
  const all = [...patients, observation('o1', 'p1'), observation('o2', 'p2'), observation('o3', 'p3'), group];
  await app.database.transaction((tx) =>
    app.store.write(
      tx,
      all.map((resource) => ({ kind: 'create', resource })),
    ),
  );
});
afterAll(() => app.close());

const body = (ids: readonly string[]) => ({
  resourceType: 'Parameters',
  parameter: [
    ...ids.map((id) => ({ name: 'patient', valueReference: { reference: `Patient/${id}` } })),
    { name: '_type', valueString: 'Patient,Observation' },
  ],
});
const start = (path: string, ids: readonly string[], headers: Record<string, string> = {}) =>
  app.ask('POST', path, body(ids), { prefer: 'respond-async', ...headers });
const local = (url: string) => url.slice(url.indexOf('/fhir/') + 6);

async function exported(path: string, ids: readonly string[]): Promise<string[]> {
  const begun = await start(path, ids);
  expect(begun.status, begun.text).toBe(202);
  for (;;) {
    const status = await app.ask('GET', local(begun.headers.get('content-location') ?? ''));
    if (status.status === 200) {
      const lines: string[] = [];
      for (const { url } of status.json.output)
        lines.push(...(await app.ask('GET', local(url))).text.trimEnd().split('\n'));
      return lines
        .map((line) => JSON.parse(line))
        .map((one) => `${one.resourceType}/${one.id}`)
        .sort();
    }
    expect(status.status, status.text).toBe(202);
    await sleep(30);
  }
}

describe('the parameter patient of $export', () => {
  it('gives what is in the compartments of these patients, each resource once', async () => {
    expect(await exported('Patient/$export', ['p3', 'p1', 'p3'])).toEqual([
      'Observation/o1',
      'Observation/o3',
      'Patient/p1',
      'Patient/p3',
    ]);
  });

  it('may name more patients than a search has values', async () => {
    const names = Array.from({ length: MANY }, (_, at) => `p${at}`);
    expect((await exported('Patient/$export', names)).length).toBe(MANY + 3);
  });

  it('narrows a Group to some of its members', async () => {
    expect(await exported('Group/g/$export', ['p2'])).toEqual(['Observation/o2', 'Patient/p2']);
    const stranger = await start('Group/g/$export', ['p3']);
    expect([stranger.status, stranger.json.resourceType]).toEqual([400, 'OperationOutcome']);
  });

  it.each([
    ['Patient/$export', ['p1', 'nobody'], 404],
    ['$export', ['p1'], 400],
    ['Patient/$export', Array.from({ length: EXPORT_PATIENTS_MAX + 1 }, () => 'p1'), 400],
    ['Patient/$export', ['p1/../p2'], 400],
  ])('%s is refused with an outcome for what cannot be named', async (path, ids, status) => {
    const answer = await start(path, ids);
    expect([answer.status, answer.json.resourceType]).toEqual([status, 'OperationOutcome']);
  });

  it.each(['GET', 'POST'])(
    'in the URL of a %s is refused: read over, it would export everybody',
    async (method) => {
      const asked = ['Patient/$export?patient=Patient/p1', method === 'POST' ? body([]) : undefined] as const;
      for (const prefer of ['respond-async', 'respond-async, handling=lenient']) {
        const answer = await app.ask(method, ...asked, { prefer });
        expect([answer.status, answer.json.issue[0].expression]).toEqual([400, ['http.patient']]);
      }
    },
  );

  it.each(['2026-01-01T24:00:00Z', '2026-02-30T10:00:00Z', '2026-01-01', 'yesterday'])(
    'beside a _since of %s, which is no instant, is refused',
    async (since) => {
      const answer = await app.ask('GET', `$export?_since=${since}`, undefined, { prefer: 'respond-async' });
      expect([answer.status, answer.json.issue[0].expression]).toEqual([400, ['http._since']]);
    },
  );

  it('needs the right to read patients', async () => {
    const answer = await start('Patient/$export', ['p1'], { 'x-scope': 'system/Observation.rs' });
    expect(answer.status).toBe(403);
  });
});
