import { randomBytes } from 'node:crypto';
import type { Consent, Location, Observation, Patient, Resource } from '@medplum/fhirtypes';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { MIGRATIONS } from '../../migrations/all.ts';
import { migrate, openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { REINDEX_QUEUE, reindexHandler } from '../../src/fhir/reindex/reindex.job.ts';
import { ReindexRunsStore } from '../../src/fhir/reindex/reindex-runs.store.ts';
import { SiteParameterStore } from '../../src/fhir/reindex/site-parameter.store.ts';
import { SiteParameterWatch } from '../../src/fhir/reindex/site-parameter-watch.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { indexResource } from '../../src/fhir/search/index-resource.ts';
import type { Job } from '../../src/queue/job.ts';
import { GROUND } from '../queue/job-ground.ts';

const BASE = 'http://127.0.0.1:8080/fhir';
/** The schema as it was before UCUM, compartments, main dates and labels: up to 0007. */
const EARLY = MIGRATIONS.slice(0, 7);

const RESOURCES: readonly (Resource & { id: string })[] = [
  { resourceType: 'Patient', id: 'p', name: [{ family: 'Müller' }] } satisfies Patient,
  {
    resourceType: 'Observation',
    id: 'o',
    meta: { tag: [{ system: 'http://example.org', code: 'early' }] },
    status: 'final',
    code: { coding: [{ code: 'mass' }] },
    subject: { reference: 'Patient/p' },
    effectiveDateTime: '2024-05-05',
    valueQuantity: { value: 1, unit: 'g', system: 'http://unitsofmeasure.org', code: 'g' },
  } satisfies Observation,
  {
    resourceType: 'Consent',
    id: 'c',
    status: 'active',
    scope: { coding: [{ code: 'patient-privacy' }] },
    category: [{ text: 'x' }],
    patient: { reference: 'Patient/p' },
    provision: { type: 'deny' },
  } satisfies Consent,
  {
    resourceType: 'Location',
    id: 'l',
    name: 'Sydney',
    position: { latitude: -33.8, longitude: 151.2 },
  } satisfies Location,
];

let database: Database;
let store: ResourceStore;
let url: string;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  await loadDefinitions();
  const template = inject('templateUrl');
  const name = `m_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({ connectionString: template.replace('/prelim?', '/postgres?') });
  await client.connect();
  await client.query(`CREATE DATABASE ${name} TEMPLATE template0`).finally(() => client.end());
  url = template.replace('/prelim?', `/${name}?`);
  const early = await openDataSource(url, 2, EARLY);
  await migrate(early);
  for (const resource of RESOURCES) await storeEarly(new Database(early), resource);
  await early.destroy();
  const dataSource = await openDataSource(url, 4);
  ends.push(() => dataSource.destroy());
  await migrate(dataSource);
  database = new Database(dataSource);
  store = new ResourceStore(database, { baseUrl: BASE.replace('/fhir', '') });
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

/** As the server of then left it: version 2, with version 1 in the history, and without what was indexed only later. */
async function storeEarly(sql: Database, resource: Resource & { id: string }): Promise<void> {
  const { resourceType: type, id } = resource;
  const { tokens, dates, strings, quantities } = indexResource(resource, BASE);
  const content = (version: string) =>
    JSON.stringify({ ...resource, meta: { ...resource.meta, versionId: version, lastUpdated: AT } });
  const columns = '(type, id, version, last_updated, deleted, method, content';
  const run = (text: string, values: unknown[]) => sql.run({ text }, values);
  await run(`INSERT INTO resource_version ${columns}) VALUES ($1, $2, 1, $3, false, 'PUT', $4)`, [
    ...[type, id, AT, content('1')],
  ]);
  await run(`INSERT INTO resource ${columns}, tokens) VALUES ($1, $2, 2, $3, false, 'PUT', $4, $5)`, [
    ...[type, id, AT, content('2'), [...tokens]],
  ]);
  for (const { param, lo, hi } of dates)
    await run('INSERT INTO search_date (type, id, param, lo, hi) VALUES ($1, $2, $3, $4, $5)', [
      ...[type, id, param, lo, hi],
    ]);
  for (const { param, value, exact } of strings)
    await run('INSERT INTO search_string (type, id, param, value, exact) VALUES ($1, $2, $3, $4, $5)', [
      ...[type, id, param, value, exact],
    ]);
  for (const { param, lo, hi, system, code, unit } of quantities)
    await run(
      'INSERT INTO search_quantity (type, id, param, lo, hi, system, code, unit) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
      [type, id, param, lo, hi, system, code, unit],
    );
}

const AT = '2025-01-01T00:00:00.000Z';
const found = async (type: string, query: string) =>
  (await store.search(type, query)).matches.map(({ id }) => id);
const queued = () =>
  database.run<{ payload: { run: string } }>({ text: 'SELECT payload FROM outbox WHERE queue = $1' }, [
    REINDEX_QUEUE,
  ]);

it('a database of an early schema, with rows, is brought to the newest: everything is read and found as before', async () => {
  for (const { resourceType, id } of RESOURCES) {
    expect((await store.read(resourceType, id))?.versionId).toBe('2');
    expect((await store.readVersion(resourceType, id, 1))?.parse().meta?.versionId).toBe('1');
  }
  expect(await found('Patient', 'name=muller')).toEqual(['p']);
  expect(await found('Observation', 'patient=p&code=mass&value-quantity=1||g')).toEqual(['o']);
  expect(await found('Observation', 'date=2024-05&_sort=-date')).toEqual(['o']);
  const [row] = await database.run<{ main_date: Date }>({
    text: `SELECT main_date FROM resource WHERE id = 'o'`,
  });
  expect(row?.main_date.toISOString()).toBe('2024-05-05T00:00:00.000Z');
  expect(await database.run({ text: 'SELECT consent, patient FROM access_opt_out' })).toEqual([
    { consent: 'c', patient: 'p' },
  ]);
  expect(await database.run({ text: 'SELECT type, entry FROM resource_label' })).toEqual([
    { type: 'Observation', entry: 'Observation._tag@http://example.org|early' },
  ]);
  await database.transaction((tx) =>
    store.write(tx, [{ kind: 'update', resource: { resourceType: 'Patient', id: 'p', active: true } }]),
  );
  expect((await store.read('Patient', 'p'))?.versionId).toBe('3');
});

it('Locations stored before near was known are indexed by themselves, once', async () => {
  expect(await found('Location', 'near=-33.8|151.2|1')).toEqual([]);
  const jobs = await queued();
  expect(jobs).toHaveLength(1);
  const runs = new ReindexRunsStore();
  const parameters = new SiteParameterStore();
  const watch = new SiteParameterWatch(parameters, database);
  const handler = reindexHandler({ database, runs, parameters, watch, base: BASE });
  const outcome = await handler.run({ payload: jobs[0]?.payload } as Job<never>, GROUND);
  expect(outcome.kind).toBe('done');
  expect(await found('Location', 'near=-33.8|151.2|1')).toEqual(['l']);
  // What is there already is not indexed again: not by a second start, not in a database that has it.
  await database.run({ text: `DELETE FROM outbox; DELETE FROM migrations WHERE name LIKE 'NearOf%'` });
  const again = await openDataSource(url, 2);
  await migrate(again).finally(() => again.destroy());
  expect(await queued()).toEqual([]);
});
