import type { Subscription } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GROUND } from '../../test/queue/job-ground.ts';
import {
  matchWorld,
  observation,
  patient,
  SECRET,
  SETTINGS,
  subscription,
} from '../../test/subscriptions/match-world.ts';
import { accessOfScopes } from '../fhir/access-context.ts';
import { failureToOutcome } from '../fhir/failure-to-outcome.ts';
import { registerTerminology } from '../fhir/terminology-registry.ts';
import { Outbox } from '../queue/outbox.ts';
import { criteriaHandler } from './check-criteria.ts';
import type { NotifyHost } from './notify-host.ts';

const world = matchWorld();
const { write, writeBehind, logged } = world;

describe('a Subscription that is written', () => {
  it('is refused when its author may not read what it would deliver', async () => {
    const resource = { ...subscription('curious', 'Patient?active=true'), status: 'requested' as const };
    const write = (scope: string) =>
      world.database.transaction((tx) =>
        world.store.write(tx, [{ kind: 'update', resource }], accessOfScopes(scope)),
      );
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
      const refused = await write(subscription('refused', `Patient?${query}`)).catch((error: unknown) =>
        failureToOutcome(error),
      );
      expect(refused).toMatchObject({
        status: 400,
        outcome: { issue: [{ expression: ['Subscription.criteria'] }] },
      });
      expect((refused as ReturnType<typeof failureToOutcome>).outcome.issue[0]?.details?.text).toMatch(text);
      expect(await world.store.read('Subscription', 'refused')).toBeNull();
    },
  );

  it('is refused on an update too, and the version that works stays', async () => {
    await write(subscription('kept', 'Patient?gender=male'));
    await expect(write(subscription('kept', 'Patient?gendre=male'))).rejects.toMatchObject({
      code: 'fhir.invalid',
    });
    expect((await world.store.read('Subscription', 'kept'))?.versionId).toBe('1');
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
    await writeBehind(broken);
    await write(subscription(`good-${broken.id}`, 'Patient'));
    for (const id of ['one', 'two']) await write(patient(id));
    expect(await world.store.read('Patient', 'two')).not.toBeNull();
    expect((await world.fired()).filter((id) => id === `good-${broken.id}`)).toHaveLength(2);
    expect((await world.fired()).includes(broken.id)).toBe(false);
    const about = logged.filter(({ subscription: id }) => id === broken.id);
    expect(about).toEqual([expect.objectContaining({ level: 'warn', err: 'fhir.invalid' })]);
    expect(JSON.stringify(logged)).not.toContain(SECRET);
  });

  it('is logged again when a newer version of it cannot be understood either', async () => {
    await writeBehind(subscription('again', 'Patient?no-such-parameter=1'));
    await write(patient('three'));
    await writeBehind(subscription('again', 'Patient?no-such-parameter=2'));
    await write(patient('four'));
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
    await write(subscription('odd', criteria));
    await write(patient('five'));
    expect((await world.store.read('Patient', 'five'))?.deleted).toBe(false);
    await world.database.transaction((tx) =>
      world.store.write(tx, [{ kind: 'delete', type: 'Subscription', id: 'odd' }]),
    );
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
    await world.forget();
    await write(coded(`t-${code}-${Math.random().toString(36).slice(2)}`, code));
    return (await world.fired()).filter((id) => id.startsWith('term-'));
  };

  it('are followed: in, not-in, below and above', async () => {
    await write(subscription('term-in', 'Observation?code:in=http://example.org/vs'));
    await write(subscription('term-not-in', 'Observation?code:not-in=http://example.org/vs&status=final'));
    await write(subscription('term-below', 'Observation?code:below=http://example.org/s|a'));
    await write(subscription('term-above', 'Observation?code:above=http://example.org/s|b'));
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
    await write(set);
    expect(await firedBy('c')).toEqual(['term-in']);
    members.set('below a', ['c']);
    const system = { resourceType: 'CodeSystem', id: 's', status: 'active', content: 'complete' } as const;
    await writeBehind(system);
    expect(await firedBy('c')).toEqual(['term-below', 'term-in']);
  });

  it('are refused when they name what is not here, and are passed over and logged when it goes away', async () => {
    await expect(
      write(subscription('term-gone', 'Observation?code:in=http://example.org/nothing')),
    ).rejects.toMatchObject({ code: 'fhir.invalid' });
    members.delete('http://example.org/vs');
    await write({
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
    const { status, error } = (await world.store.read('Subscription', id))?.parse<Subscription>() ?? {};
    return { status, error };
  };
  const due = async () => {
    const rows = await world.database.run<{ queue: string }>({
      text: 'SELECT DISTINCT queue FROM outbox ORDER BY 1',
    });
    return rows.map(({ queue }) => queue);
  };

  it('are in error with words while what they name is away, and active again when it is back', async () => {
    const host = {} as NotifyHost;
    const outbox = new Outbox();
    const delivery = {
      database: world.database,
      resources: world.store,
      store: world.events,
      host,
      settings: SETTINGS as never,
    };
    const check = criteriaHandler(delivery, world.active, outbox);
    const run = () => check.run({} as never, GROUND);
    await run();
    expect(await status('term-in')).toEqual({
      status: 'error',
      error: expect.stringMatching(/cannot be followed: code:in names what is not loaded here/),
    });
    expect((await status('term-below')).status).toBe('active');
    const version = (await world.store.read('Subscription', 'term-in'))?.versionId;
    await run();
    expect((await world.store.read('Subscription', 'term-in'))?.versionId).toBe(version);
    // It is back: the write of the value set itself has them looked at.
    members.set('http://example.org/vs', ['c']);
    await world.database.run({ text: 'TRUNCATE outbox' });
    await write({ resourceType: 'ValueSet', id: 'vs', url: 'http://example.org/vs', status: 'active' });
    expect(await due()).toEqual(['subscription-criteria']);
    await run();
    expect(await status('term-in')).toEqual({ status: 'active' });
    expect(await due()).toContain('rest-hook');
    expect(await firedBy('c')).toEqual(['term-below', 'term-in']);
  });

  it('stay in error for a listener that does not answer, whatever becomes of value sets', async () => {
    const failing = subscription('deaf', 'Observation?code:in=http://example.org/vs');
    await write({ ...failing, status: 'error', error: 'subscription.not-delivered: no answer' });
    const outbox = new Outbox();
    const delivery = {
      database: world.database,
      resources: world.store,
      store: world.events,
      host: {} as NotifyHost,
      settings: SETTINGS as never,
    };
    await criteriaHandler(delivery, world.active, outbox).run({} as never, GROUND);
    expect((await status('deaf')).status).toBe('error');
  });
});
