import type { Observation, Patient, Resource, Subscription } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { makeLogger } from '../../src/kernel/log.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { ActiveSubscriptions } from '../../src/subscriptions/active-subscriptions.ts';
import { MatchChange } from '../../src/subscriptions/match-change.ts';
import { SubscriptionStore } from '../../src/subscriptions/subscription.store.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

export const SETTINGS = { baseUrl: 'http://127.0.0.1:8080', SUBSCRIPTION_HOSTS: ['ehr.example'] };
/** The family name of every `patient`: nothing that is logged may contain it. */
export const SECRET = 'SECRET-NAME';

type Stored<T extends Resource> = T & { id: string };

/** A store whose writes are matched with the Subscriptions in it; nothing is delivered. */
export interface MatchWorld {
  readonly database: Database;
  /** Has the matcher as listener. */
  readonly store: ResourceStore;
  /** Without it: as a Subscription came in before the matcher knew better, or what another process wrote. */
  readonly behind: ResourceStore;
  readonly events: SubscriptionStore;
  readonly active: ActiveSubscriptions;
  /** What was logged since the test began. */
  readonly logged: { level: string; subscription: string; err: string }[];
  /** Updates, in one transaction: through the matcher. */
  write(...resources: readonly Stored<Resource>[]): Promise<unknown>;
  /** The same, past it. */
  writeBehind(...resources: readonly Stored<Resource>[]): Promise<unknown>;
  /** Forgets what has fired. */
  forget(): Promise<void>;
  /** Ids of the Subscriptions that fired since the test began, sorted, one for each time. */
  fired(): Promise<string[]>;
}

/** For a spec: a world of its own, in which nothing has fired before each test. */
export function matchWorld(): MatchWorld {
  let fresh: FreshDatabase;
  let made: Pick<MatchWorld, 'store' | 'behind' | 'events' | 'active'>;
  const logged: MatchWorld['logged'] = [];
  const sink = { write: (line: string) => void logged.push(JSON.parse(line)) };
  const forget = async () => {
    await fresh.database.run({ text: 'TRUNCATE outbox, subscription_event, subscription_counter' });
  };
  const update = (to: ResourceStore, resources: readonly Stored<Resource>[]) =>
    fresh.database.transaction((tx) =>
      to.write(
        tx,
        resources.map((resource) => ({ kind: 'update', resource })),
      ),
    );
  beforeAll(async () => {
    fresh = await freshDatabase();
    await loadDefinitions();
    const [store, behind] = [1, 2].map(() => new ResourceStore(fresh.database, SETTINGS)) as [
      ResourceStore,
      ResourceStore,
    ];
    const events = new SubscriptionStore(fresh.database);
    const active = new ActiveSubscriptions(store, events, SETTINGS, makeLogger('info', sink), 0);
    new MatchChange(store, events, active, new Outbox()).listen();
    made = { store, behind, events, active };
  });
  afterAll(() => fresh.close());
  beforeEach(async () => {
    logged.length = 0;
    await forget();
  });
  return {
    get database() {
      return fresh.database;
    },
    get store() {
      return made.store;
    },
    get behind() {
      return made.behind;
    },
    get events() {
      return made.events;
    },
    get active() {
      return made.active;
    },
    logged,
    write: (...resources) => update(made.store, resources),
    writeBehind: (...resources) => update(made.behind, resources),
    forget,
    async fired() {
      const text = 'SELECT subscription_id AS id FROM subscription_event ORDER BY 1';
      return (await fresh.database.run<{ id: string }>({ text })).map(({ id }) => id);
    },
  };
}

export const subscription = (
  id: string,
  criteria: string,
  channel: Partial<Subscription['channel']> = {},
): Stored<Subscription> => ({
  resourceType: 'Subscription',
  id,
  status: 'active',
  reason: 'test',
  criteria,
  channel: { type: 'rest-hook', endpoint: 'https://ehr.example/hook', ...channel },
});

export const patient = (id: string, family = SECRET): Stored<Patient> => ({
  resourceType: 'Patient',
  id,
  name: [{ family }],
});

export const observation = (id: string, more: Partial<Observation> = {}): Stored<Observation> => ({
  ...{ resourceType: 'Observation', id, status: 'final', code: { text: 'x' } },
  ...more,
});
