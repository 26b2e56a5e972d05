import type { Subscription } from '@medplum/fhirtypes';
import type { Logger } from 'pino';
import type { Transaction } from '../database/database.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { knownTopics } from './known-topics.ts';
import { type ReadSubscription, readSubscription, type SubscriptionSettings } from './read-subscription.ts';
import { accessOfSubscriber } from './subscriber-access.ts';
import type { SubscriptionRow, SubscriptionStore } from './subscription.store.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import { indexWatches, type WatchIndex } from './watch-index.ts';

/** How late a change of a Subscription in another process may be seen here; a write in between is spared a look. */
const KNOWN_MS = 1_000;
/**
 * A look asks for what changed since the newest change it knows, and this much before: for writes of other processes that were slow to commit, and clocks
 * that differ. One that took longer is found when everything is read.
 */
const OVERLAP_MS = 10_000;
/** Now and then everything is read: rows that were purged leave no trace. */
const WHOLE_MS = 300_000;

interface Known {
  readonly subscriptions: ReadonlyMap<string, { version: number; subscription: ReadSubscription | null }>;
  readonly topics: ReadonlyMap<string, SubscriptionTopic>;
  readonly index: WatchIndex;
  /** Time of the newest change that is in here, in ms. */
  readonly newest: number;
}

const NOTHING: Known = { subscriptions: new Map(), topics: new Map(), index: indexWatches([]), newest: 0 };

/**
 * The Subscriptions that are active, read and indexed in memory: a write asks no database who might be interested. What this process writes
 * counts at once, what another one writes within `KNOWN_MS`; a look then reads only what has changed.
 */
export class ActiveSubscriptions {
  private known = NOTHING;
  private knownUntil = 0;
  private wholeUntil = 0;
  private newest = 0;
  /** Changes of Subscriptions committed here. A look that began before the newest of them may have missed it. */
  private changes = 0;
  private readonly reported = new Set<string>();

  constructor(
    private readonly store: ResourceStore,
    private readonly rows: Pick<SubscriptionStore, 'live' | 'changedSince' | 'authors'>,
    private readonly settings: SubscriptionSettings,
    private readonly log: Pick<Logger, 'warn'>,
    private readonly knownMs = KNOWN_MS,
  ) {}

  /** Subscriptions, or topics, change in this transaction. */
  touch(tx: Transaction, topics: boolean): void {
    tx.afterCommit(() => {
      this.knownUntil = 0;
      if (topics) this.wholeUntil = 0;
      this.changes += 1;
    });
  }

  /** `touched`: this very transaction changes one. What it sees is for itself alone: it may still be rolled back. */
  async look(tx: Transaction, touched: boolean): Promise<WatchIndex> {
    const now = Date.now();
    if (touched) return (await this.readAll(tx)).index;
    if (now < this.knownUntil) return this.known.index;
    const before = this.changes;
    const whole = now >= this.wholeUntil;
    const known = whole ? await this.readAll(tx) : await this.readChanged(tx, this.known);
    this.known = known;
    if (before === this.changes) {
      this.knownUntil = now + this.knownMs;
      if (whole) this.wholeUntil = now + WHOLE_MS;
    }
    return known.index;
  }

  /** Reads one that is just written, with the topics as they stand in its transaction. Throws what its author should know. */
  async read(tx: Transaction, subscription: Subscription): Promise<ReadSubscription> {
    return readSubscription(subscription, await knownTopics(this.store, tx), this.settings);
  }

  private async readAll(tx: Transaction): Promise<Known> {
    const topics = await knownTopics(this.store, tx);
    return this.take(tx, { ...NOTHING, topics }, await this.rows.live(tx));
  }

  private async readChanged(tx: Transaction, known: Known): Promise<Known> {
    const rows = await this.rows.changedSince(tx, new Date(known.newest - OVERLAP_MS));
    const changed = rows.filter(
      ({ id, version, live }) => known.subscriptions.get(id)?.version !== (live ? version : undefined),
    );
    return changed.length > 0 ? this.take(tx, known, changed) : known;
  }

  private async take(tx: Transaction, known: Known, rows: readonly SubscriptionRow[]): Promise<Known> {
    const stored = await this.store.readMany(
      rows.filter(({ live }) => live).map(({ id }) => ({ type: 'Subscription', id })),
      tx,
    );
    const byId = new Map(stored.map((one) => [one.id, one]));
    const authors = await this.rows.authors(tx, [...byId.keys()]);
    const subscriptions = new Map(known.subscriptions);
    for (const { id, version } of rows) {
      const one = byId.get(id);
      const read = one && this.readQuietly(one.parse(), known.topics);
      const author = authors.get(id);
      const subscription = read && author ? { ...read, access: accessOfSubscriber(author) } : (read ?? null);
      if (one) subscriptions.set(id, { version, subscription });
      else subscriptions.delete(id);
    }
    return {
      subscriptions,
      topics: known.topics,
      newest: Math.max(known.newest, ...rows.map((row) => row.last_updated.getTime())),
      index: indexWatches([...subscriptions.values()].flatMap(({ subscription }) => subscription ?? [])),
    };
  }

  /**
   * One that could not be stored today (its host was taken off the list, a parameter is not known any more) is passed over; it must not stop
   * the write of a study. No SQL runs in here, so nothing that ended the transaction is caught.
   */
  private readQuietly(
    subscription: Subscription,
    topics: ReadonlyMap<string, SubscriptionTopic>,
  ): ReadSubscription | null {
    try {
      return readSubscription(subscription, topics, this.settings);
    } catch (error) {
      this.report(subscription, error);
      return null;
    }
  }

  private report({ id, meta }: Subscription, error: unknown): void {
    const key = `${id}/${meta?.versionId}`;
    if (this.reported.has(key)) return;
    if (this.reported.size >= REPORTED_MAX) this.reported.clear();
    this.reported.add(key);
    const err = error instanceof Failure ? error.code : 'internal';
    this.log.warn(
      { subscription: id, err },
      'a Subscription cannot be understood and is passed over: write it again, or delete it',
    );
  }
}

/** More broken Subscriptions than a hospital has Subscriptions; beyond it they are named again. */
const REPORTED_MAX = 1_000;
