import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverDatabaseUrl } from '../fresh-server.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/** Two processes over one database: one answers and works, the other only answers. */
let worker: PrelimServer;
let other: PrelimServer;

beforeAll(async () => {
  const DATABASE_URL = await serverDatabaseUrl();
  worker = await PrelimServer.start({ DATABASE_URL, PRELIM_ROLES: 'api,worker' });
  other = await PrelimServer.start({ DATABASE_URL, PRELIM_DATA: worker.folder, PRELIM_ROLES: 'api' });
  // One data folder, so one signing key.
  other.token = worker.token;
}, 60_000);
afterAll(async () => {
  await other?.close();
  await worker?.close();
}, 60_000);

const WARD = 'urn:site:ward';
const patient = (id: string) => ({
  resourceType: 'Patient',
  id,
  extension: [{ url: WARD, valueCode: 'north' }],
});
const parameter = {
  resourceType: 'SearchParameter',
  id: 'ward',
  url: 'urn:site:ward-parameter',
  name: 'Ward',
  status: 'active',
  description: 'The ward',
  code: 'ward',
  base: ['Patient'],
  type: 'token',
  expression: `Patient.extension.where(url = '${WARD}').value`,
};

async function until(what: () => Promise<boolean>, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) if (await what()) return;
  throw new Error('it did not come');
}
const ids = async (server: PrelimServer, query: string): Promise<string[] | number> => {
  const { status, body } = await server.ask('GET', `/fhir/Patient?${query}`);
  if (status !== 200) return status;
  return ((body.entry ?? []) as { resource: { id: string } }[]).map(({ resource }) => resource.id).sort();
};

describe('a search parameter of the site’s own, over HTTP', () => {
  it('works in every process once everything is indexed, also when the worker is killed meanwhile', async () => {
    expect((await other.ask('PUT', '/fhir/Patient/before', patient('before'))).status).toBe(201);
    expect((await other.ask('PUT', '/fhir/SearchParameter/ward', parameter)).status).toBe(201);
    expect(await ids(other, 'ward=north')).toBe(400);
    await worker.kill('SIGKILL');
    expect((await other.ask('PUT', '/fhir/Patient/meanwhile', patient('meanwhile'))).status).toBe(201);
    await worker.start();
    for (const server of [worker, other]) {
      await until(async () => (await ids(server, 'ward=north')) !== 400, 40);
      expect(await ids(server, 'ward=north')).toEqual(['before', 'meanwhile']);
    }
    const metadata = await other.ask('GET', '/fhir/metadata');
    expect(metadata.text).toContain('urn:site:ward-parameter');
    const status = await other.ask('GET', '/fhir/$reindex-status');
    expect(status.text).toContain('SearchParameter/ward');
  }, 90_000);

  it('is refused with 400 when its expression is not one that it may have', async () => {
    const bad = {
      ...parameter,
      id: 'bad',
      url: 'urn:bad',
      code: 'bad',
      expression: "Patient.id.matches('^(a+)+$')",
    };
    const answer = await worker.ask('PUT', '/fhir/SearchParameter/bad', bad);
    expect(answer.status).toBe(400);
    expect(answer.body.resourceType).toBe('OperationOutcome');
    expect(answer.text).not.toContain('(a+)+');
  });

  it('stops in every process when it is retired', async () => {
    expect(
      (await worker.ask('PUT', '/fhir/SearchParameter/ward', { ...parameter, status: 'retired' })).status,
    ).toBe(200);
    for (const server of [worker, other])
      await until(async () => (await ids(server, 'ward=north')) === 400, 10);
  }, 30_000);

  it('$reindex answers 202 and is worked off', async () => {
    const start = await other.ask('POST', '/fhir/Patient/$reindex');
    expect(start.status).toBe(202);
    const location = new URL(String(start.headers.get('content-location')));
    await until(
      async () => (await other.ask('GET', `${location.pathname}${location.search}`)).status === 200,
      20,
    );
  }, 30_000);
});
