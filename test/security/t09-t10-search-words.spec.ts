import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/** Named like what an attacker writes: each must be found by its own letters, and by nothing else. */
const NAMES = ['Plain', 'Fifty%Off', 'Under_Score', 'Back\\Slash', 'Regex.*(a+)+$', 'Ünïcödé'];

let server: PrelimServer;
beforeAll(async () => {
  server = await PrelimServer.start({
    DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
  });
  for (const [n, family] of NAMES.entries())
    await server.ask('PUT', `/fhir/Patient/n${n}`, {
      resourceType: 'Patient',
      id: `n${n}`,
      name: [{ family }],
    });
});
afterAll(() => server.close());

const found = async (query: string): Promise<string[]> => {
  const { status, body } = await server.ask('GET', `/fhir/Patient?${query}`);
  expect(status, query).toBe(200);
  return (body.entry ?? []).map((entry: { resource: { id: string } }) => entry.resource.id).sort();
};

describe('T9 what is searched for is letters, never a pattern', () => {
  it.each([
    ['name=%25', []],
    ['name:exact=%25', []],
    ['name:contains=%25%25%25', []],
    ['name=_', []],
    ['name:contains=___', []],
    ['name=%5C', []],
    ['name=%5C%25', []],
    ['name:contains=.*(', ['n4']],
    ['name=Fifty%25', ['n1']],
    ['name:contains=y%25O', ['n1']],
    ['name:contains=r_S', ['n2']],
    ['name:contains=k%5CS', ['n3']],
    ['name=Regex.*(a%2B)%2B%24', ['n4']],
    ['name=regex%5B', []],
    ['name=unicode', ['n5']],
  ] as const)('T9 Patient?%s finds exactly %j', async (query, expected) => {
    // A literal character that a name begins with or has is found; a wildcard would find everything.
    const ids = await found(query);
    expect(ids).toEqual([...expected]);
  });

  it('T9 a text of thirty wildcards, or one that kills back-tracking engines, is as quick as any other', async () => {
    for (const text of [
      '%_'.repeat(30),
      '(a+)+$'.repeat(10),
      `${'a'.repeat(3_000)}!`,
      '^(.*)(.*)(.*)\\1\\2\\3$',
    ]) {
      const began = performance.now();
      const { status } = await server.ask('GET', `/fhir/Patient?name:contains=${encodeURIComponent(text)}`);
      expect([200, 400]).toContain(status);
      expect(performance.now() - began).toBeLessThan(1_000);
    }
  });
});

describe('T10 questions that are none', () => {
  it.each([
    'Observation?subject:Patient.general-practitioner:Practitioner.organization:Organization.partof:Organization.name=x',
    'Patient?general-practitioner.organization.partof.endpoint.organization.name=x',
    'Patient?_has:Observation:patient:_has:DiagnosticReport:result:_has:Task:focus:_has:Provenance:target:agent=x',
    'Observation?_include=*',
    'Observation?_include:iterate=*',
    'Observation?_include=Nothing:subject',
    'Observation?_revinclude=*',
    'Patient?_count=-1',
    'Patient?_count=abc',
    'Patient?_count=1e9',
    'Patient?_count=99999999999999999999',
    'Patient?_sort=_text',
    'Patient?_sort=no-such',
    'Patient?_sort=-',
    'Observation?date=gt2020-13-45',
    'Observation?date=2020-02-30',
    'Observation?date=yesterday',
    'Observation?date=ge2020-01-01T25:00:00Z',
    'Observation?value-quantity=abc',
    'Observation?value-quantity=1e999',
    'Observation?_lastUpdated=zz2020',
    'Patient?_cursor=eyJhIjoxfQ',
    'Patient?_elements=name.family',
    'Patient?_summary=everything',
    'Patient?_total=all',
    'Patient?_filter=name eq x',
    'Patient?_query=x',
    'Patient?name:matches=x',
    `Patient?${Array.from({ length: 200 }, (_, n) => `name=x${n}`).join('&')}`,
    `Patient?_id=${Array.from({ length: 5_000 }, (_, n) => `i${n}`).join(',')}`,
  ])('T10 %s is 400 with an outcome', async (query) => {
    const answer = await server.ask('GET', `/fhir/${query}`);
    // Node itself refuses a line above 16 kB, before there is anything to write an outcome.
    expect([400, 414, 431]).toContain(answer.status);
    if (answer.status === 400) expect(answer.body?.resourceType).toBe('OperationOutcome');
    expect(answer.text).not.toMatch(/\bat .*:\d+:\d+|SELECT /);
  });

  it.each([
    'Observation?date=9999-12-31T23:59:59.999999999Z',
    'Observation?date=lt0001-01-01',
    'Observation?date=gt9999',
    'Observation?_lastUpdated=le9999-12-31T23:59:59.999999999%2B14:00',
    'Observation?value-quantity=gt1e300',
    'Observation?value-quantity=1e-300',
  ])('T10 %s is at an end of what there is: 200 or 400, never 500', async (query) => {
    const answer = await server.ask('GET', `/fhir/${query}`);
    expect([200, 400]).toContain(answer.status);
  });

  it('T10 two links and two _has are still answered', async () => {
    expect((await server.ask('GET', '/fhir/Observation?subject:Patient.organization.name=x')).status).toBe(
      200,
    );
    expect(
      (
        await server.ask(
          'GET',
          '/fhir/Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final',
        )
      ).status,
    ).toBe(200);
  });
});
