import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, type Ask, observation, person } from './access-world.ts';

let world: AccessWorld;
let app: Ask;
const ENTRIES = 500;

beforeAll(async () => {
  world = await AccessWorld.start();
  await world.write(person('t34-a', 'Alpha'));
  await world.write(person('t34-b', 'Beta'));
  await world.write(observation('t34-oa', 't34-a'));
  await world.write(observation('t34-ob', 't34-b'));
  app = await world.patient('t34-a', 'patient/*.cruds', { roles: ['integrator'] });
}, 120_000);
afterAll(() => world?.close());

const bundle = (type: 'batch' | 'transaction', entry: readonly unknown[]) => ({
  resourceType: 'Bundle',
  type,
  entry,
});
const statuses = (answer: { body: { entry: { response: { status: string } }[] } }) =>
  answer.body.entry.map(({ response }) => response.status.slice(0, 3));

/** Allowed and forbidden in turn, each with the status it has alone. */
const MIXED: readonly (readonly [string, unknown])[] = [
  ['201', { resource: observation(undefined, 't34-a'), request: { method: 'POST', url: 'Observation' } }],
  ['403', { resource: observation(undefined, 't34-b'), request: { method: 'POST', url: 'Observation' } }],
  ['200', { request: { method: 'GET', url: 'Observation/t34-oa' } }],
  ['404', { request: { method: 'GET', url: 'Observation/t34-ob' } }],
  ['200', { request: { method: 'GET', url: 'Observation?_id=t34-ob' } }],
  [
    '404',
    { resource: observation('t34-ob', 't34-a'), request: { method: 'PUT', url: 'Observation/t34-ob' } },
  ],
  ['403', { request: { method: 'DELETE', url: 'AuditEvent/x' } }],
  ['400', { request: { method: 'GET', url: '../admin' } }],
  ['404', { request: { method: 'GET', url: 'Patient/t34-b/$everything' } }],
  ['403', { request: { method: 'GET', url: 'Subscription?status=active' } }],
];

describe('T34: entries of a Bundle are judged one by one', () => {
  it(`${ENTRIES} entries of a batch that mix what is allowed and what is not: each has its own answer`, async () => {
    const entries = Array.from(
      { length: ENTRIES },
      (_, at) => MIXED[at % MIXED.length] as (typeof MIXED)[number],
    );
    const answer = await app(
      'POST',
      '',
      bundle(
        'batch',
        entries.map(([, entry]) => entry),
      ),
    );
    expect(answer.status).toBe(200);
    expect(statuses(answer)).toEqual(entries.map(([status]) => status));
    expect(answer.text).not.toContain('Patient/t34-b"');
  });

  it('a transaction with one forbidden entry writes nothing', async () => {
    const before = (await world.all('GET', 'Observation?_summary=count')).body.total;
    const entries = Array.from({ length: 50 }, () => MIXED[0]?.[1]);
    const answer = await app('POST', '', bundle('transaction', [...entries, MIXED[1]?.[1]]));
    expect(answer.status).toBe(403);
    expect((await world.all('GET', 'Observation?_summary=count')).body.total).toBe(before);
    expect((await app('POST', '', bundle('transaction', entries))).status).toBe(200);
    expect((await world.all('GET', 'Observation?_summary=count')).body.total).toBe(before + 50);
  });

  it.each([
    '../admin',
    'Patient/1/../2',
    'Patient/./1',
    'https://elsewhere.example/fhir/Patient/1',
    '//elsewhere.example/Patient/1',
    '/fhir/Patient/1',
    '/metrics',
    'Patient%2f1',
    'Patient/%2e%2e/metrics',
    'file:///etc/passwd',
    'Patient\\1',
    '',
  ])('an entry with the URL "%s" is 400, alone in a batch and for the whole transaction', async (url) => {
    const entry = [{ request: { method: 'GET', url } }];
    const batch = await app('POST', '', bundle('batch', entry));
    expect(batch.status === 400 || statuses(batch)[0] === '400').toBe(true);
    expect((await app('POST', '', bundle('transaction', entry))).status).toBe(400);
  });

  it.each(['batch', 'transaction'] as const)('a Bundle inside a %s is not run', async (type) => {
    const inner = bundle('batch', [{ request: { method: 'GET', url: 'Observation/t34-oa' } }]);
    for (const url of ['', 'Bundle', '$everything']) {
      const answer = await world.all(
        'POST',
        '',
        bundle(type, [{ resource: inner, request: { method: 'POST', url } }]),
      );
      const status = answer.status === 200 ? statuses(answer)[0] : String(answer.status);
      // Stored as a resource like any other it runs nothing.
      if (url === 'Bundle') expect(answer.text).not.toContain('8867-4');
      else expect(status).toMatch(/^4/);
    }
  });
});
