import type { CodeSystem, Group, Observation, Patient, Subscription, ValueSet } from '@medplum/fhirtypes';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database, Statement, Transaction } from '../database/database.ts';
import { accessOfScopes, FULL_ACCESS } from '../fhir/access-context.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { failureToOutcome } from '../fhir/failure-to-outcome.ts';
import { OUTDATED_SQLSTATE, ResourceStore } from '../fhir/resource-store.ts';
import { REFERRERS_FOR_MANY_MAX } from '../fhir/search/find-referrers.ts';
import { registerTerminology } from '../fhir/terminology-registry.ts';
import { makeLogger } from '../kernel/log.ts';
import { Outbox } from '../queue/outbox.ts';
import { ActiveSubscriptions } from './active-subscriptions.ts';
import { criteriaHandler } from './check-criteria.ts';
import { MatchChange } from './match-change.ts';
import type { NotifyHost } from './notify-host.ts';
import { SubscriptionStore } from './subscription.store.ts';

const SETTINGS = { baseUrl: 'http://127.0.0.1:8080', SUBSCRIPTION_HOSTS: ['ehr.example'] };
const SECRET = 'SECRET-NAME';

let database: Database;
let close: () => Promise<void>;
let events: SubscriptionStore;
let active: ActiveSubscriptions;
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
  active = new ActiveSubscriptions(store, events, SETTINGS, makeLogger('info', sink), 0);
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
const write = (to: ResourceStore, resource: (Subscription | Patient | Observation) & { id: string }) =>
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

const observation = (id: string, more: Partial<Observation>): Observation & { id: string } => ({
  ...{ resourceType: 'Observation', id, status: 'final', code: { text: 'x' } },
  ...more,
});

/** Writes, and counts what the matching asked of SQL. */
async function asked(
  resource: (Observation | Group | Patient) & { id: string },
  { guess = false } = {},
): Promise<{ statements: number; criteria: number; all: number }> {
  const counted = { statements: 0, criteria: 0, all: 0 };
  await database.transaction((tx) => {
    const run = (statement: Statement, values?: readonly unknown[]) => {
      const criteria = statement.text.match(/ AS at, r\.id FROM resource r /g)?.length ?? 0;
      if (criteria > 0) counted.statements += 1;
      counted.all += 1;
      counted.criteria += criteria;
      return tx.run(statement, values);
    };
    return store.writeTogether(
      Object.assign(Object.create(tx), { run }) as Transaction,
      [{ write: { kind: 'update', resource }, access: FULL_ACCESS }],
      { guess },
    );
  });
  return counted;
}

describe('1,000 Subscriptions that no code tells apart', () => {
  const mg = (value: number) => ({
    valueQuantity: { value, unit: 'mg', system: 'http://unitsofmeasure.org', code: 'mg' },
  });
  beforeAll(async () => {
    const criteria = Array.from({ length: 1_000 }, (_, n) => {
      const at = 1_000 + n;
      return [
        `value-quantity=gt${at}`,
        `value-quantity=${at}||mg`,
        `component-value-quantity=lt-${at}`,
        `date=ge2${String(n).padStart(3, '0')}-01-01&date=lt2${String(n).padStart(3, '0')}-02-01`,
        `value-string=text-${n}`,
        `_id=only-${n}`,
        `code-value-quantity=c${n}$gt5`,
        `value-date=lt1${String(n).padStart(3, '0')}`,
        `status=final&value-quantity=lt-${at}`,
        `status:not=final&value-quantity=gt${at}`,
      ][n % 10] as string;
    });
    await database.transaction((tx) =>
      store.write(
        tx,
        criteria.map((one, n) => ({
          kind: 'update' as const,
          resource: subscription(`range-${n}`, `Observation?${one}`),
        })),
      ),
    );
  });

  afterAll(() =>
    database.run({ text: `DELETE FROM resource WHERE type = 'Subscription' AND id ~ '^(range|same)-'` }),
  );

  it('cost a write that meets none of them no statement', async () => {
    const near = {
      ...mg(999.9),
      effectiveDateTime: '1999-12-31',
      component: [{ code: { text: 'x' }, ...mg(-999) }],
    };
    expect(await asked(observation('far', near))).toMatchObject({ statements: 0, criteria: 0 });
    expect(await hooks()).toEqual([]);
  });

  it.each([
    ['a quantity', 'q', mg(1_005.5), ['range-0']],
    [
      'the same quantity in another unit',
      'q2',
      { valueQuantity: { value: 1.001, system: 'http://unitsofmeasure.org', code: 'g' } },
      ['range-1'],
    ],
    ['a component', 'c', { component: [{ code: { text: 'x' }, ...mg(-1_002.5) }] }, ['range-2']],
    ['a date', 'd', { effectiveDateTime: '2003-01-15' }, ['range-3']],
    ['a text', 's', { valueString: 'Text-4' }, ['range-4']],
    ['an id', 'only-5', {}, ['range-5']],
    ['a pair', 'p', { code: { coding: [{ code: 'c6' }] }, ...mg(7) }, ['range-6']],
  ])(
    'cost one that meets one by %s one statement about as many criteria as may match',
    async (_, id, more, fired) => {
      const work = await asked(observation(id, more));
      expect(work.statements).toBe(1);
      expect(work.criteria).toBeLessThanOrEqual(2);
      expect(await hooks()).toEqual(fired);
    },
  );

  it('are asked once where many say the same', async () => {
    await database.transaction((tx) =>
      store.write(
        tx,
        Array.from({ length: 50 }, (_, n) => ({
          kind: 'update' as const,
          resource: subscription(`same-${n}`, 'Observation?value-quantity=lt-100000'),
        })),
      ),
    );
    const work = await asked(observation('low', mg(-100_001)));
    // Of the others 100 are met by it.
    expect(work).toMatchObject({ statements: 3, criteria: 101 });
    expect((await hooks()).filter((id) => id.startsWith('same-'))).toHaveLength(50);
  });
});

describe('1,000 Subscriptions by what is seldom asked', () => {
  const kinds: readonly ((n: number) => string)[] = [
    (n) => `_lastUpdated=gt${2100 + n}`,
    (n) => `_lastUpdated=ap${2100 + n}`,
    (n) => `code:text=words ${n}`,
    (n) => `code=http://none.example/${n}|`,
    (n) => `identifier:of-type=http://t.example|MR|${n}`,
    (n) => `_id=other-${n},another-${n}&code:missing=true`,
    () => 'status:missing=true',
    () => 'method:missing=false',
  ];
  const all = Array.from({ length: 1_000 }, (_, n) => n);
  /** Not through the matcher, which would try each of them. */
  const many = (criteria: (n: number) => string) =>
    database.transaction((tx) =>
      behind.write(
        tx,
        all.map((n) => ({
          kind: 'update' as const,
          resource: subscription(`many-${n}`, criteria(n)),
        })),
      ),
    );
  const fired = async () => (await hooks()).filter((id) => id.startsWith('many-'));
  afterEach(() =>
    database.transaction((tx) =>
      behind.write(
        tx,
        all.map((n) => ({ kind: 'delete' as const, type: 'Subscription', id: `many-${n}` })),
      ),
    ),
  );

  it('by time of change, text, system, type of identifier or :missing: a write that meets none of them costs no statement', async () => {
    await many((n) => `Observation?${kinds[n % kinds.length]?.(n)}`);
    expect(await asked(observation('seldom', {}))).toMatchObject({ statements: 0, criteria: 0 });
    expect(await fired()).toEqual([]);
    await asked(observation('seldom', { code: { text: 'Words 10' } }));
    expect(await fired()).toEqual(['many-10']);
  });

  it('by pairs of codes: none either, and the one that is met fires', async () => {
    await many((n) => `Group?characteristic-value=c${n}$v`);
    const group = (id: string, code: string): Group & { id: string } => ({
      ...{ resourceType: 'Group', id, type: 'person', actual: true },
      characteristic: [
        { code: { coding: [{ code }] }, valueCodeableConcept: { coding: [{ code: 'v' }] }, exclude: false },
      ],
    });
    expect(await asked(group('none', 'c1000'))).toMatchObject({ statements: 0 });
    expect(await asked(group('one', 'c7'))).toMatchObject({ statements: 1, criteria: 1 });
    expect(await fired()).toEqual(['many-7']);
  });

  it('by a chain: the patient is read once for all, and only those that may match are asked', async () => {
    await many((n) => `Observation?subject:Patient.name=nobody-${n}`);
    const subject = { reference: 'Patient/chained' };
    await write(store, { resourceType: 'Patient', id: 'chained', name: [{ family: 'Somebody' }] });
    const alone = await asked(observation('unchained', {}));
    const none = await asked(observation('chained-1', { subject }));
    expect(none).toEqual({ statements: 0, criteria: 0, all: alone.all + 1 });
    await write(store, { resourceType: 'Patient', id: 'chained', name: [{ family: 'Nobody-70' }] });
    expect(await asked(observation('chained-2', { subject }))).toMatchObject({ statements: 1, criteria: 2 });
    expect(await fired()).toEqual(['many-7', 'many-70']);
    // What the same transaction has written counts.
    await database.transaction((tx) =>
      store.write(tx, [
        {
          kind: 'update',
          resource: { resourceType: 'Patient', id: 'chained', name: [{ family: 'nobody-8' }] },
        },
        { kind: 'update', resource: observation('chained-3', { subject }) },
      ]),
    );
    expect(await fired()).toEqual(['many-7', 'many-70', 'many-8']);
  });

  it('by a chain: a patient that is known here is not read, and one that has changed since fires all the same', async () => {
    await many((n) => `Observation?subject:Patient.name=nobody-${n}`);
    const subject = { reference: 'Patient/known' };
    const known = (family: string): Patient & { id: string } => ({
      resourceType: 'Patient',
      id: 'known',
      name: [{ family }],
    });
    const write1 = (n: number) => asked(observation(`known-${n}`, { subject }), { guess: true });
    await write(store, known('Somebody'));
    const read = await write1(1);
    expect((await write1(2)).all).toBe(read.all - 1);
    // Written here: it is read again, and nothing fails.
    await write(store, known('Nobody-5'));
    expect(await write1(3)).toMatchObject({ criteria: 1 });
    expect(await fired()).toEqual(['many-5']);
    expect((await write1(4)).criteria).toBe(1);
    // Written by another process: the first try fails, the second one looks.
    await write(behind, known('Nobody-6'));
    await expect(write1(5)).rejects.toMatchObject({ code: OUTDATED_SQLSTATE });
    expect(await store.read('Observation', 'known-5')).toBeNull();
    expect(await write1(5)).toMatchObject({ criteria: 1 });
    expect(await fired()).toEqual(['many-5', 'many-5', 'many-6']);
    // One that somebody changes is not taken for known at once again: the next change meets no guess.
    await write(behind, known('Nobody-7'));
    await write1(6);
    expect(await fired()).toEqual(['many-5', 'many-5', 'many-6', 'many-7']);
  });

  it('by _has: what refers to it is read once for all', async () => {
    await many((n) => `Patient?_has:Observation:patient:code=c${n}`);
    await write(store, patient('referred'));
    expect(await asked(patient('referred'))).toMatchObject({ statements: 0 });
    await asked(
      observation('referring', {
        subject: { reference: 'Patient/referred' },
        code: { coding: [{ code: 'c3' }] },
      }),
    );
    expect(await asked(patient('referred'))).toMatchObject({ statements: 1, criteria: 1 });
    expect(await fired()).toEqual(['many-3']);
    // On both sides of the border the answer is the same: by a list for so many criteria, beyond it by SQL.
    const referring = (from: number, to: number) =>
      database.transaction((tx) =>
        behind.write(
          tx,
          Array.from({ length: to - from }, (_, n) => ({
            kind: 'create' as const,
            resource: observation(`r-${from + n}`, { subject: { reference: 'Patient/referred' } }),
          })),
        ),
      );
    await referring(1, REFERRERS_FOR_MANY_MAX);
    expect(await asked(patient('referred'))).toMatchObject({ criteria: 1 });
    await referring(REFERRERS_FOR_MANY_MAX, REFERRERS_FOR_MANY_MAX + 1);
    expect(await asked(patient('referred'))).toMatchObject({ criteria: 1_000 });
    expect(await fired()).toEqual(['many-3', 'many-3', 'many-3']);
  });
});

describe('criteria that go by terminology', () => {
  const members = new Map<string, string[]>();
  let looks = 0;
  beforeAll(() => {
    const codes = (name: string) =>
      members.get(name)?.map((code) => ({ system: 'http://example.org/s', code })) ?? null;
    registerTerminology({
      membersOf: async (name) => {
        looks += 1;
        return codes(name);
      },
      holds: async () => null,
      below: async ({ code }) => codes(`below ${code}`),
      above: async ({ code }) => codes(`above ${code}`),
      subsumes: async () => null,
    });
    members.set('http://example.org/vs', ['a', 'b']);
    members.set('below a', ['a', 'a1']);
    members.set('above b', ['b', 'top']);
  });
  afterAll(() => registerTerminology(null));

  const coded = (id: string, code: string) =>
    observation(id, { code: { coding: [{ system: 'http://example.org/s', code }] } });
  const firedBy = async (code: string): Promise<string[]> => {
    await database.run({ text: 'TRUNCATE outbox, subscription_event, subscription_counter' });
    await database.transaction((tx) =>
      store.write(tx, [
        { kind: 'update', resource: coded(`t-${code}-${Math.random().toString(36).slice(2)}`, code) },
      ]),
    );
    return (await hooks()).filter((id) => id.startsWith('term-'));
  };
  const terminology = (resource: (ValueSet | CodeSystem) & { id: string }) =>
    database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));

  it('are followed: in, not-in, below and above', async () => {
    await write(store, subscription('term-in', 'Observation?code:in=http://example.org/vs'));
    await write(
      store,
      subscription('term-not-in', 'Observation?code:not-in=http://example.org/vs&status=final'),
    );
    await write(store, subscription('term-below', 'Observation?code:below=http://example.org/s|a'));
    await write(store, subscription('term-above', 'Observation?code:above=http://example.org/s|b'));
    expect(await firedBy('a')).toEqual(['term-below', 'term-in']);
    expect(await firedBy('a1')).toEqual(['term-below', 'term-not-in']);
    expect(await firedBy('top')).toEqual(['term-above', 'term-not-in']);
    const before = looks;
    await firedBy('b');
    expect(looks).toBe(before);
  });

  it('follow a change of a value set or a code system with its commit, here and from another process', async () => {
    members.set('http://example.org/vs', ['c']);
    expect(await firedBy('c')).toEqual(['term-not-in']);
    const set = {
      resourceType: 'ValueSet',
      id: 'vs',
      url: 'http://example.org/vs',
      status: 'active',
    } as const;
    await terminology(set);
    expect(await firedBy('c')).toEqual(['term-in']);
    members.set('below a', ['c']);
    const system = { resourceType: 'CodeSystem', id: 's', status: 'active', content: 'complete' } as const;
    await database.transaction((tx) => behind.write(tx, [{ kind: 'update', resource: system }]));
    expect(await firedBy('c')).toEqual(['term-below', 'term-in']);
  });

  it('are refused when they name what is not here, and are passed over and logged when it goes away', async () => {
    await expect(
      write(store, subscription('term-gone', 'Observation?code:in=http://example.org/nothing')),
    ).rejects.toMatchObject({ code: 'fhir.invalid' });
    members.delete('http://example.org/vs');
    await terminology({
      resourceType: 'ValueSet',
      id: 'vs',
      url: 'http://example.org/vs',
      status: 'retired',
    });
    expect(await firedBy('c')).toEqual(['term-below']);
    expect(logged.map(({ subscription: id }) => id).sort()).toEqual(['term-in', 'term-not-in']);
    // The first write that finds out has them looked at.
    expect(await due()).toContain('subscription-criteria');
  });

  const status = async (id: string) => {
    const { status, error } = (await store.read('Subscription', id))?.parse<Subscription>() ?? {};
    return { status, error };
  };
  const due = async () => {
    const rows = await database.run<{ queue: string }>({
      text: 'SELECT DISTINCT queue FROM outbox ORDER BY 1',
    });
    return rows.map(({ queue }) => queue);
  };

  it('are in error with words while what they name is away, and active again when it is back', async () => {
    const host = {} as NotifyHost;
    const outbox = new Outbox();
    const delivery = { database, resources: store, store: events, host, settings: SETTINGS as never };
    const check = criteriaHandler(delivery, active, outbox);
    const run = () => check.run({} as never);
    await run();
    expect(await status('term-in')).toEqual({
      status: 'error',
      error: expect.stringMatching(/cannot be followed: code:in names what is not loaded here/),
    });
    expect((await status('term-below')).status).toBe('active');
    const version = (await store.read('Subscription', 'term-in'))?.versionId;
    await run();
    expect((await store.read('Subscription', 'term-in'))?.versionId).toBe(version);
    // It is back: the write of the value set itself has them looked at.
    members.set('http://example.org/vs', ['c']);
    await database.run({ text: 'TRUNCATE outbox' });
    await terminology({ resourceType: 'ValueSet', id: 'vs', url: 'http://example.org/vs', status: 'active' });
    expect(await due()).toEqual(['subscription-criteria']);
    await run();
    expect(await status('term-in')).toEqual({ status: 'active' });
    expect(await due()).toContain('rest-hook');
    expect(await firedBy('c')).toEqual(['term-below', 'term-in']);
  });

  it('stay in error for a listener that does not answer, whatever becomes of value sets', async () => {
    const failing = subscription('deaf', 'Observation?code:in=http://example.org/vs');
    await write(store, { ...failing, status: 'error', error: 'subscription.not-delivered: no answer' });
    const outbox = new Outbox();
    const delivery = {
      database,
      resources: store,
      store: events,
      host: {} as NotifyHost,
      settings: SETTINGS as never,
    };
    await criteriaHandler(delivery, active, outbox).run({} as never);
    expect((await status('deaf')).status).toBe('error');
  });
});
