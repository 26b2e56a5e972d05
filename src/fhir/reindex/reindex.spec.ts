import type { Parameters, Resource, SearchParameter } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { GROUND } from '../../../test/queue/job-ground.ts';
import type { Database, Statement } from '../../database/database.ts';
import type { Job } from '../../queue/job.ts';
import { Outbox } from '../../queue/outbox.ts';
import { accessOfScopes, FULL_ACCESS } from '../access-context.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import type { OperationRequest } from '../operation-registry.ts';
import { ResourceStore } from '../resource-store.ts';
import { setSiteParameters } from '../search/parameters/site-parameters.ts';
import { REINDEX_PAGE, reindexPage } from '../storage/reindex-page.ts';
import { EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX } from './check-expression.ts';
import { keepSiteParameters } from './keep-site-parameters.ts';
import { SITE_PARAMETER_TYPES_MAX } from './read-site-parameter.ts';
import { REINDEX_QUEUE, reindexHandler } from './reindex.job.ts';
import { REINDEX_RUNS_MAX, reindexOperations } from './reindex.operation.ts';
import { ReindexRunsStore } from './reindex-runs.store.ts';
import { SiteParameterStore } from './site-parameter.store.ts';
import { SiteParameterWatch } from './site-parameter-watch.ts';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
let watch: SiteParameterWatch;
const runs = new ReindexRunsStore();
const parameters = new SiteParameterStore();
const outbox = new Outbox();

const SHOE = 'urn:site:shoe-size';
const patient = (id: string, size: number): Resource => ({
  resourceType: 'Patient',
  id,
  name: [{ family: `F${id}` }],
  birthDate: '1970-01-01',
  extension: [
    { url: SHOE, valueInteger: size },
    { url: 'urn:site:ward', valueCode: `w${size}` },
  ],
});
const parameter = (id: string, more: Partial<SearchParameter>): SearchParameter => ({
  resourceType: 'SearchParameter',
  id,
  url: `urn:site:${id}`,
  name: id,
  status: 'active',
  description: id,
  code: id,
  base: ['Patient'],
  type: 'number',
  expression: `Patient.extension.where(url = '${SHOE}').value`,
  ...more,
});

const PATIENTS = 2 * REINDEX_PAGE + 50;

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  watch = new SiteParameterWatch(parameters, database);
  store.onChange(keepSiteParameters({ parameters, runs, watch, outbox }, 0));
  const all = Array.from({ length: PATIENTS }, (_, at) =>
    patient(`p${String(at).padStart(4, '0')}`, at % 50),
  );
  await write(...all);
});
afterAll(async () => {
  setSiteParameters([]);
  await close();
});

const write = (...resources: Resource[]): Promise<unknown> =>
  database.transaction((tx) =>
    store.write(
      tx,
      resources.map((resource) => ({ kind: 'update', resource: resource as Resource & { id: string } })),
    ),
  );
const total = async (query: string): Promise<number | null> =>
  (await store.search('Patient', `${query}&_summary=count`)).total;

interface Due {
  id: string;
  payload: { run: string };
}

/** Takes the jobs that wait, as a worker would; gives how often they had to be run. */
async function work(sliceMs?: number): Promise<number> {
  let times = 0;
  for (;;) {
    const [due] = await database.run<Due>(
      { text: `SELECT id, payload FROM outbox WHERE queue = $1 LIMIT 1` },
      [REINDEX_QUEUE],
    );
    if (!due) return times;
    // A new handler each time: nothing but the database knows how far it was.
    const handler = reindexHandler({ database, runs, parameters, watch, base: store.base }, sliceMs);
    const outcome = await handler.run({ ...due, attempt: 1 } as unknown as Job<{ run: string }>, GROUND);
    times += 1;
    if (outcome.kind !== 'done') continue;
    await database.transaction(async (tx) => {
      await outcome.write?.(tx);
      await tx.run({ text: 'DELETE FROM outbox WHERE id = $1' }, [due.id]);
    });
    await watch.refresh();
  }
}

describe('search parameters of the site’s own', () => {
  it('are searched once everything stored is indexed, page by page, whoever goes on with it', async () => {
    await write(parameter('shoe', {}));
    await watch.refresh();
    await expect(total('shoe=7')).rejects.toMatchObject({ code: 'fhir.invalid' });
    // Written before the run, indexed already.
    await write(patient('early', 7));
    const times = await work(0);
    expect(times).toBeGreaterThan(3);
    expect(await total('shoe=7')).toBe(10);
    expect(await total('shoe=ge48')).toBe(18);
    expect(await total('shoe:missing=true')).toBe(0);
    await write(patient('late', 7));
    expect(await total('shoe=7')).toBe(11);
    const [run] = await runs.latest(database, 1);
    expect(run).toMatchObject({ state: 'done', parameter: 'shoe', total: String(PATIENTS + 1) });
    expect(Number(run?.done)).toBe(PATIENTS + 1);
  });

  it('leave versions and history alone', async () => {
    const stored = await store.read('Patient', 'p0000');
    expect(stored?.versionId).toBe('1');
  });

  it('a process that did not write the parameter learns of it from the database', async () => {
    setSiteParameters([]);
    const other = new SiteParameterWatch(parameters, database);
    await expect(total('shoe=7')).rejects.toMatchObject({ code: 'fhir.invalid' });
    await other.refresh();
    expect(await total('shoe=7')).toBe(11);
  });

  it('what a process wrote without knowing of it is indexed at the end of the run', async () => {
    await write(
      parameter('ward', {
        type: 'token',
        expression: "Patient.extension.where(url = 'urn:site:ward').value",
      }),
    );
    const handler = reindexHandler({ database, runs, parameters, watch, base: store.base }, 0);
    const [due] = await database.run<Due>({ text: 'SELECT id, payload FROM outbox' });
    for (let page = 0; page < 3; page++)
      await handler.run({ ...due, attempt: 1 } as unknown as Job<{ run: string }>, GROUND);
    // The run is past this one; the writer does not know the parameter.
    setSiteParameters([]);
    await write(patient('p0001', 44));
    const fresh = new SiteParameterWatch(parameters, database);
    await fresh.refresh();
    await work();
    expect((await store.search('Patient', 'ward=w44&_id=p0001')).matches).toHaveLength(1);
  });

  it('a change of the expression is a new run; the same again is none', async () => {
    const before = (await runs.latest(database, 1))[0]?.id;
    await write(parameter('shoe', { description: 'other words' }));
    expect((await runs.latest(database, 1))[0]?.id).toBe(before);
    await write(parameter('shoe', { type: 'string', expression: 'Patient.name.family' }));
    await watch.refresh();
    await expect(total('shoe=Fp0003')).rejects.toMatchObject({ code: 'fhir.invalid' });
    await work();
    expect(await total('shoe=Fp0003')).toBe(1);
    await expect(database.run({ text: `SELECT 1 FROM search_number WHERE param = 'shoe'` })).resolves.toEqual(
      [],
    );
  });

  it('stop when they are retired or deleted', async () => {
    await write(parameter('shoe', { status: 'retired' }));
    await database.transaction((tx) =>
      store.write(tx, [{ kind: 'delete', type: 'SearchParameter', id: 'ward' }]),
    );
    await watch.refresh();
    for (const query of ['shoe=F', 'ward=w44'])
      await expect(total(query)).rejects.toMatchObject({ code: 'fhir.invalid' });
    await write(patient('after', 3));
    const [row] = await database.run<{ tokens: string[] }>({
      text: `SELECT tokens FROM resource WHERE id = 'after'`,
    });
    expect(row?.tokens.some((entry) => /shoe|ward/.test(entry))).toBe(false);
  });

  it.each<[string, Partial<SearchParameter>, string]>([
    ['a pattern (T12)', { expression: "Patient.name.family.matches('^(a+)+$')" }, 'fhir.invalid'],
    ['too many parentheses (T13)', { expression: '('.repeat(1000) }, 'fhir.invalid'],
    [
      'deep but short',
      {
        expression: `${'('.repeat(EXPRESSION_DEPTH_MAX + 1)}Patient.id${')'.repeat(EXPRESSION_DEPTH_MAX + 1)}`,
      },
      'fhir.invalid',
    ],
    ['a long or (T13)', { expression: Array(5000).fill('Patient.active').join(' or ') }, 'fhir.invalid'],
    [
      'a doubling combine (T13)',
      { expression: `Patient${'.select($this.combine($this))'.repeat(18)}` },
      'fhir.invalid',
    ],
    ['a walk through everything', { expression: 'Patient.descendants()' }, 'fhir.invalid'],
    ['a stub of the engine', { expression: 'Patient.name.repeat(given)' }, 'fhir.invalid'],
    ['a look outside', { expression: 'Patient.managingOrganization.resolve().name' }, 'fhir.invalid'],
    ['a variable', { expression: 'Patient.name.where(use = %context.x)' }, 'fhir.invalid'],
    ['no end', { expression: "Patient.name.where(use = 'a'" }, 'fhir.invalid'],
    ['an open string', { expression: "Patient.name.where(use = 'a)" }, 'fhir.invalid'],
    ['another type', { expression: 'Observation.code' }, 'fhir.invalid'],
    ['no expression', { expression: undefined as unknown as string }, 'fhir.invalid'],
    ['a long one', { expression: `Patient.${'a'.repeat(EXPRESSION_CHARACTERS_MAX)}` }, 'fhir.invalid'],
    ['a composite', { type: 'composite' as const }, 'fhir.unsupported'],
    ['a special', { type: 'special' as const }, 'fhir.unsupported'],
    ['a code of R4', { code: 'birthdate', base: ['Patient', 'Person', 'Device'] }, 'fhir.invalid'],
    ['a code of ours', { code: '_count' }, 'fhir.invalid'],
    ['a code that is SQL', { code: "x' or 1=1--" }, 'fhir.invalid'],
    ['a prototype', { base: ['__proto__' as 'Patient'] }, 'fhir.invalid'],
    ['every type', { base: ['Resource' as 'Patient'], expression: 'Resource.id' }, 'fhir.invalid'],
    [
      'too many types',
      { base: Array<'Patient'>(SITE_PARAMETER_TYPES_MAX + 1).fill('Patient') },
      'fhir.invalid',
    ],
  ])('%s is refused, at once', async (_title, more, code) => {
    const before = performance.now();
    await expect(write(parameter('bad', { code: 'bad', ...more }))).rejects.toMatchObject({ code });
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(await store.read('SearchParameter', 'bad')).toBeNull();
  });

  it('two of them cannot have one code', async () => {
    await write(parameter('one', { code: 'same' }));
    await expect(write(parameter('two', { code: 'same' }))).rejects.toMatchObject({ code: 'fhir.invalid' });
    await write(parameter('two', { code: 'same', base: ['Person'], expression: 'Person.name.family' }));
    await write(
      parameter('one', { code: 'same', status: 'retired' }),
      parameter('two', { status: 'retired' }),
    );
    await work();
  });

  it('a draft is kept and does nothing, and so is a published one', async () => {
    await write(
      parameter('draft', { status: 'draft', expression: "Patient.name.matches('x')" }),
      parameter('Patient-birthdate', {
        url: 'http://hl7.org/fhir/SearchParameter/individual-birthdate',
        code: 'birthdate',
        type: 'date',
      }),
    );
    expect(await parameters.all(database)).toEqual([]);
  });
});

describe('$reindex', () => {
  const operations = () => reindexOperations({ database, runs, outbox, base: store.base });
  const request = (more: Partial<OperationRequest>): OperationRequest => ({
    id: null,
    type: null,
    query: new URLSearchParams(),
    body: null,
    headers: {},
    access: FULL_ACCESS,
    ...more,
  });
  const call = (name: string, level: string, more: Partial<OperationRequest>) => {
    const found = operations().find(
      (one) => one.name === name && one.level === level && (one.type ?? null) === (more.type ?? null),
    );
    if (!found) throw new Error(name);
    return found.run(request(more));
  };

  it('mends an index that was damaged, without new versions, and says how far it is', async () => {
    await database.run({ text: `DELETE FROM search_date WHERE type = 'Patient'` });
    await database.run({
      text: `UPDATE resource SET tokens = '{}', search_digest = 0 WHERE type = 'Patient'`,
    });
    expect(await total('birthdate=1970')).toBe(0);
    const answer = await call('$reindex', 'type', { type: 'Patient' });
    expect(answer.status).toBe(202);
    const location = new URL(String(answer.headers?.['content-location']));
    expect(location.pathname).toBe('/fhir/$reindex-status');
    const asked = { query: location.searchParams };
    expect((await call('$reindex-status', 'system', asked)).status).toBe(202);
    await work(0);
    const end = await call('$reindex-status', 'system', asked);
    expect(end.status).toBe(200);
    const state = (end.resource as Parameters).parameter?.find(({ name }) => name === 'state');
    expect(state?.valueCode).toBe('done');
    expect(await total('birthdate=1970')).toBe(PATIENTS + 3);
    expect((await store.read('Patient', 'p0000'))?.versionId).toBe('1');
  });

  it('leaves an index that is right as it is', async () => {
    const page = await reindexPage(
      database,
      { type: 'Patient', after: '', changedSince: null },
      store.base,
      async () => undefined,
    );
    expect(page).toMatchObject({ seen: REINDEX_PAGE, changed: 0 });
  });

  it('leaves a resource to whoever writes it meanwhile', async () => {
    await database.run({ text: `UPDATE resource SET tokens = '{}' WHERE type = 'Patient' AND id = 'p0002'` });
    const busy = {
      run: async (statement: Statement, values?: readonly unknown[]) => {
        const rows = await database.run(statement, values);
        await write({ ...patient('p0002', 1), gender: 'other' } as Resource);
        return rows;
      },
      transaction: database.transaction.bind(database),
    } as unknown as Database;
    const place = { type: 'Patient', after: 'p0001', changedSince: null };
    const page = await reindexPage(busy, place, store.base, async () => undefined);
    expect(page.changed).toBe(0);
    expect((await store.search('Patient', 'gender=other')).matches.map(({ id }) => id)).toEqual(['p0002']);
  });

  it('of everything leaves out the audit, which nobody may change', async () => {
    const access = { ...FULL_ACCESS, allows: (type: string) => type !== 'AuditEvent' };
    expect((await call('$reindex', 'system', { access })).status).toBe(202);
    await expect(call('$reindex', 'type', { type: 'AuditEvent', access })).rejects.toMatchObject({
      code: 'auth.scope',
    });
    await work();
  });

  it('is refused to who may not change everything, and when many wait', async () => {
    const access = accessOfScopes('system/Patient.cruds');
    await expect(call('$reindex', 'system', { access })).rejects.toMatchObject({ code: 'auth.scope' });
    for (let at = 0; at < REINDEX_RUNS_MAX; at++)
      await call('$reindex', 'type', { type: 'Basic', access: FULL_ACCESS });
    await expect(call('$reindex', 'system', {})).rejects.toMatchObject({ code: 'fhir.conflict' });
    await work();
    await expect(
      call('$reindex-status', 'system', { query: new URLSearchParams('run=999999') }),
    ).rejects.toMatchObject({ code: 'fhir.not-found' });
    expect((await call('$reindex-status', 'system', {})).status).toBe(200);
  });
});
