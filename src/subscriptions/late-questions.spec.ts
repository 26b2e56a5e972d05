import type { Observation, Patient, Resource, Subscription } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { GROUND } from '../../test/queue/job-ground.ts';
import type { Database, Statement } from '../database/database.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { REFERRERS_FOR_MANY_MAX } from '../fhir/search/find-referrers.ts';
import { Failure } from '../kernel/errors.ts';
import { makeLogger } from '../kernel/log.ts';
import type { Job } from '../queue/job.ts';
import { Outbox } from '../queue/outbox.ts';
import { ActiveSubscriptions } from './active-subscriptions.ts';
import { QUESTION_QUEUE, QUESTIONS_PER_RUN_MAX, questionHandler } from './late-questions.ts';
import { MatchChange } from './match-change.ts';
import { SubscriptionStore } from './subscription.store.ts';

const SETTINGS = { baseUrl: 'http://127.0.0.1:8080', SUBSCRIPTION_HOSTS: ['ehr.example'] };
const MANY = 40;

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
/** Nobody is told of what it writes. */
let quiet: ResourceStore;
let active: ActiveSubscriptions;
let match: MatchChange;

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, SETTINGS);
  quiet = new ResourceStore(database, SETTINGS);
  const events = new SubscriptionStore(database);
  const log = makeLogger('error', { write: () => undefined });
  active = new ActiveSubscriptions(store, events, SETTINGS, log, 0);
  match = new MatchChange(store, events, active, new Outbox());
  match.listen();
  await write(quiet, [
    ...['a', 'b', 'c'].map(patient),
    ...Array.from({ length: REFERRERS_FOR_MANY_MAX + 1 }, (_, n) => result(`a-${n}`, 'a', 5 + n / 1_000)),
    result('b-1', 'b', 100),
    ...Array.from({ length: MANY }, (_, n) => hook(`hook-${n}`, n)),
  ]);
});
afterAll(() => close());
beforeEach(() =>
  database.run({ text: 'TRUNCATE outbox, subscription_event, subscription_counter, subscription_question' }),
);

type Kept = Resource & { id: string };
const patient = (id: string): Patient & Kept => ({ resourceType: 'Patient', id });
const result = (id: string, of: string, value: number): Observation & Kept => ({
  resourceType: 'Observation',
  id,
  status: 'final',
  code: { text: 'x' },
  subject: { reference: `Patient/${of}` },
  valueQuantity: { value, system: 'http://unitsofmeasure.org', code: 'mg' },
});
const hook = (id: string, above: number, criteria = ''): Subscription & Kept => ({
  resourceType: 'Subscription',
  id,
  status: 'active',
  reason: 'test',
  criteria: criteria || `Patient?_has:Observation:patient:value-quantity=gt${above}`,
  channel: { type: 'rest-hook', endpoint: 'https://ehr.example/hook' },
});

const write = (to: ResourceStore, resources: readonly Kept[]) =>
  database.transaction((tx) =>
    to.write(
      tx,
      resources.map((resource) => ({ kind: 'update' as const, resource })),
    ),
  );

/** Writes, and counts the criteria that SQL was asked in the transaction. */
async function criteriaAsked(resource: Kept): Promise<number> {
  let asked = 0;
  await database.transaction((tx) => {
    const run = (statement: Statement, values?: readonly unknown[]) => {
      asked += statement.text.match(/ AS at, r\.id FROM resource r /g)?.length ?? 0;
      return tx.run(statement, values);
    };
    return store.write(Object.assign(Object.create(tx), { run }), [{ kind: 'update', resource }]);
  });
  return asked;
}

const told = () =>
  database.run<{ hook: string; patient: string }>({
    text: 'SELECT subscription_id AS hook, resource_id AS patient FROM subscription_event ORDER BY subscription_id, number',
  });
const open = async () =>
  (await database.run<{ n: number }>({ text: 'SELECT count(*)::int AS n FROM subscription_question' }))[0]?.n;
const waiting = async () =>
  (
    await database.run<{ key: string }>({
      text: `SELECT key FROM outbox WHERE queue = '${QUESTION_QUEUE}' ORDER BY id`,
    })
  ).map(({ key }) => key);

/** As the queue would. */
async function answer(ids: readonly string[], through: Database = database): Promise<void> {
  const handler = questionHandler({ database: through, resources: store, active, tell: match.tell });
  for (const subscriptionId of ids) await handler.run({ payload: { subscriptionId } } as Job<never>, GROUND);
}

describe('what SQL may take long to answer', () => {
  it('is asked after the commit, however many ask: the write asks nothing, and nothing is missed', async () => {
    expect(await criteriaAsked(patient('a'))).toBe(0);
    expect(await told()).toEqual([]);
    const ids = await waiting();
    expect([ids.length, await open()]).toEqual([MANY, MANY]);
    await answer(ids);
    expect(await open()).toBe(0);
    // The values of the patient are 5 to 5.5.
    expect((await told()).map((one) => one.hook)).toEqual(
      ['hook-0', 'hook-1', 'hook-2', 'hook-3', 'hook-4', 'hook-5'].sort(),
    );
    expect(await waiting()).toHaveLength(MANY);
  });

  it('is asked at once where few refer to the resource', async () => {
    await criteriaAsked(patient('b'));
    expect(await told()).toHaveLength(MANY);
    expect(await open()).toBe(0);
  });

  it('keeps the order: what happens behind an open question is told behind it', async () => {
    await write(store, [patient('a')]);
    await write(store, [patient('b')]);
    expect((await told()).filter((one) => one.hook === 'hook-1')).toEqual([]);
    await answer(['hook-1', 'hook-30']);
    const of = async (id: string) =>
      (await told()).filter((one) => one.hook === id).map((one) => one.patient);
    expect([await of('hook-1'), await of('hook-30')]).toEqual([['a', 'b'], ['b']]);
    // Once answered, others are told at once again.
    await write(store, [patient('b')]);
    expect(await of('hook-1')).toEqual(['a', 'b', 'b']);
  });

  it('is asked of who refers to it where the version is gone, and told unasked where that is gone too, or takes too long', async () => {
    await write(store, [patient('a')]);
    await write(quiet, [patient('a')]);
    await answer(['hook-1', 'hook-39']);
    expect(await told()).toEqual([{ hook: 'hook-1', patient: 'a' }]);
    await write(store, [patient('a')]);
    await database.transaction((tx) => quiet.write(tx, [{ kind: 'delete', type: 'Patient', id: 'a' }]));
    await answer(['hook-39']);
    expect((await told()).filter((one) => one.hook === 'hook-39')).toHaveLength(1);
    await write(quiet, [patient('a')]);
    await write(store, [patient('a')]);
    const slow = Object.assign(Object.create(database), {
      run: (statement: Statement, values: readonly unknown[]) =>
        statement.timeoutMs === undefined
          ? database.run(statement, values)
          : Promise.reject(new Failure('database.timeout', 'too long')),
    }) as Database;
    await answer(['hook-38'], slow);
    // Of three questions two were of versions that are gone: nothing was asked within the time either.
    expect((await told()).filter((one) => one.hook === 'hook-38')).toHaveLength(3);
    expect(await open()).toBe(3 * MANY - 2 - 1 - 3);
  });

  it('leaves nothing of a Subscription that is over, and one run takes so many at most', async () => {
    for (let n = 0; n < QUESTIONS_PER_RUN_MAX + 1; n++) await write(store, [patient('a')]);
    const handler = questionHandler({ database, resources: store, active, tell: match.tell });
    const run = () => handler.run({ payload: { subscriptionId: 'hook-7' } } as Job<never>, GROUND);
    expect(await run()).toMatchObject({ kind: 'again', free: true });
    expect(await run()).toEqual({ kind: 'done' });
    const left = async () =>
      (
        await database.run<{ id: string }>({
          text: 'SELECT DISTINCT subscription_id AS id FROM subscription_question',
        })
      ).map(({ id }) => id);
    expect(await left()).not.toContain('hook-7');
    await write(store, [{ ...hook('hook-8', 8), status: 'off' }]);
    expect(await left()).not.toContain('hook-8');
    await write(quiet, [{ ...hook('hook-9', 9), status: 'off' }]);
    await answer(['hook-9']);
    expect(await left()).not.toContain('hook-9');
    expect((await told()).filter((one) => ['hook-8', 'hook-9'].includes(one.hook))).toEqual([]);
  });

  it('is asked after the commit as well where it stands behind a chain: nothing says how many refer to the other end', async () => {
    const behind = 'Observation?subject:Patient._has:Observation:patient:value-quantity=gt5.4';
    await write(store, [hook('chained', 0, behind)]);
    expect(await criteriaAsked(result('a-new', 'a', 1))).toBe(0);
    await answer(['chained']);
    expect((await told()).filter((one) => one.hook === 'chained')).toHaveLength(1);
  });
});
