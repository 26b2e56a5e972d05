import type { Patient, Subscription } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { accessOfScopes } from '../fhir/access-context.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { failureToOutcome } from '../fhir/failure-to-outcome.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { makeLogger } from '../kernel/log.ts';
import { Outbox } from '../queue/outbox.ts';
import { ActiveSubscriptions } from './active-subscriptions.ts';
import { MatchChange } from './match-change.ts';
import { SubscriptionStore } from './subscription.store.ts';

const SETTINGS = { baseUrl: 'http://127.0.0.1:8080', SUBSCRIPTION_HOSTS: ['ehr.example'] };
const SECRET = 'SECRET-NAME';

let database: Database;
let close: () => Promise<void>;
let events: SubscriptionStore;
/** Has the matcher as listener. */
let store: ResourceStore;
/** Without it: as a Subscription came in before the matcher knew better. */
let behind: ResourceStore;
const logged: { level: string; subscription: string; err: string }[] = [];

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, SETTINGS);
  behind = new ResourceStore(database, SETTINGS);
  const sink = { write: (line: string) => void logged.push(JSON.parse(line)) };
  events = new SubscriptionStore(database);
  const active = new ActiveSubscriptions(store, events, SETTINGS, makeLogger('info', sink), 0);
  new MatchChange(store, events, active, new Outbox()).listen();
});
afterAll(() => close());
beforeEach(async () => {
  logged.length = 0;
  await database.run({ text: 'TRUNCATE outbox, subscription_event, subscription_counter' });
});

const subscription = (
  id: string,
  criteria: string,
  more: Partial<Subscription['channel']> = {},
): Subscription & { id: string } => ({
  resourceType: 'Subscription',
  id,
  status: 'active',
  reason: 'test',
  criteria,
  channel: { type: 'rest-hook', endpoint: 'https://ehr.example/hook', ...more },
});
const patient = (id: string): Patient & { id: string } => ({
  resourceType: 'Patient',
  id,
  name: [{ family: SECRET }],
});
const write = (to: ResourceStore, resource: (Subscription | Patient) & { id: string }) =>
  database.transaction((tx) => to.write(tx, [{ kind: 'update', resource }]));
const hooks = async () =>
  (
    await database.run<{ id: string }>({
      text: 'SELECT subscription_id AS id FROM subscription_event ORDER BY 1',
    })
  ).map((row) => row.id);

describe('a Subscription that is written', () => {
  it('is refused when its author may not read what it would deliver', async () => {
    const resource = { ...subscription('curious', 'Patient?active=true'), status: 'requested' as const };
    const write = (scope: string) =>
      database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }], accessOfScopes(scope)));
    await expect(write('system/Subscription.cu')).rejects.toMatchObject({ code: 'auth.scope' });
    await expect(write('system/Subscription.cu system/Patient.r')).resolves.toHaveLength(1);
  });

  it.each([
    ['no-such-parameter=1', /no search parameter "no-such-parameter"/],
    ['birthdate=yesterday', /value of birthdate is not a date/],
    ['_content=x', /_content/],
    ['general-practitioner:Nobody.name=x', /modifier|chain/],
    ['_has:Observation:nothing:code=x', /_has/],
    ['name:contains=x', /contains/],
    ['name=a%00b', /U\+0000/],
  ])(
    'is refused when its criteria are Patient?%s: the outcome says what is wrong, and nothing is stored',
    async (query, text) => {
      const refused = await write(store, subscription('refused', `Patient?${query}`)).catch(
        (error: unknown) => failureToOutcome(error),
      );
      expect(refused).toMatchObject({
        status: 400,
        outcome: { issue: [{ expression: ['Subscription.criteria'] }] },
      });
      expect((refused as ReturnType<typeof failureToOutcome>).outcome.issue[0]?.details?.text).toMatch(text);
      expect(await store.read('Subscription', 'refused')).toBeNull();
    },
  );

  it('is refused on an update too, and the version that works stays', async () => {
    await write(store, subscription('kept', 'Patient?gender=male'));
    await expect(write(store, subscription('kept', 'Patient?gendre=male'))).rejects.toMatchObject({
      code: 'fhir.invalid',
    });
    expect((await store.read('Subscription', 'kept'))?.versionId).toBe('1');
  });
});

describe('a Subscription in the store that cannot be understood', () => {
  it.each([
    ['an unknown parameter', subscription('unknown', 'Patient?no-such-parameter=1')],
    ['a value that means nothing', subscription('value', 'Patient?birthdate=yesterday')],
    [
      'a host that was taken off the list',
      subscription('host', 'Patient?name=x', { endpoint: 'https://gone.example/' }),
    ],
    ['an endpoint that is none', subscription('endpoint', 'Patient?name=x', { endpoint: '::' })],
  ])('(%s) stops no write, the others still fire, and it is logged once by id', async (_, broken) => {
    await write(behind, broken);
    await write(store, subscription(`good-${broken.id}`, 'Patient'));
    for (const id of ['one', 'two']) await write(store, patient(id));
    expect(await store.read('Patient', 'two')).not.toBeNull();
    expect((await hooks()).filter((id) => id === `good-${broken.id}`)).toHaveLength(2);
    expect((await hooks()).includes(broken.id)).toBe(false);
    const about = logged.filter(({ subscription: id }) => id === broken.id);
    expect(about).toEqual([expect.objectContaining({ level: 'warn', err: 'fhir.invalid' })]);
    expect(JSON.stringify(logged)).not.toContain(SECRET);
  });

  it('is logged again when a newer version of it cannot be understood either', async () => {
    await write(behind, subscription('again', 'Patient?no-such-parameter=1'));
    await write(store, patient('three'));
    await write(behind, subscription('again', 'Patient?no-such-parameter=2'));
    await write(store, patient('four'));
    expect(logged.filter(({ subscription: id }) => id === 'again')).toHaveLength(2);
  });
});

describe('criteria that can be understood', () => {
  it.each([
    'Patient?birthdate=ge0001-01-01&birthdate=le9999-12-31',
    'Patient?_lastUpdated=ap2024-01-01T00:00:00Z',
    `Patient?name=${encodeURIComponent(`x'; DROP TABLE outbox; --`)}`,
    'Patient?name=\\\\,\\',
    'Patient?_id=%F0%9F%98%80',
    'Patient?_has:Observation:patient:value-quantity=gt99999999999999999999.999999999999999e99',
    'Patient?_sort=-birthdate&_count=1',
  ])('%s never make a write fail', async (criteria) => {
    await write(store, subscription('odd', criteria));
    await write(store, patient('five'));
    expect((await store.read('Patient', 'five'))?.deleted).toBe(false);
    await database.transaction((tx) =>
      store.write(tx, [{ kind: 'delete', type: 'Subscription', id: 'odd' }]),
    );
  });
});
