import type { Basic, Subscription } from '@medplum/fhirtypes';
import type { Logger } from 'pino';
import type { Sql, Transaction } from '../database/database.ts';
import { CodeSets } from '../fhir/match-criteria.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { checkTopicWritten, knownTopics } from './known-topics.ts';
import { type ReadSubscription, readSubscription, type SubscriptionSettings } from './read-subscription.ts';
import { accessOfSubscriber } from './subscriber-access.ts';
import type { SubscriptionRow, SubscriptionStore } from './subscription.store.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import { isUnfollowed } from './unfollowed.ts';
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

export interface CheckedSubscription {
  readonly subscription: Subscription;
  readonly read: ReadSubscription | null;
  readonly why: string | null;
}

interface Known {
  readonly subscriptions: ReadonlyMap<string, { version: number; subscription: ReadSubscription | null }>;
  readonly topics: ReadonlyMap<string, SubscriptionTopic>;
  readonly index: WatchIndex;
  /** Time of the newest change that is in here, in ms. */
  readonly newest: number;
  /** What the value sets in criteria stand for. */
  readonly sets: CodeSets;
}

const NOTHING: Omit<Known, 'sets'> = {
  subscriptions: new Map(),
  topics: new Map(),
  index: indexWatches([]),
  newest: 0,
};

/**
 * The Subscriptions that are active, read and indexed in memory: a write asks no database who might be interested. What this process writes
 * counts at once, what another one writes within `KNOWN_MS`; a look then reads only what has changed.
 */
export class ActiveSubscriptions {
  private known: Known = { ...NOTHING, sets: new CodeSets() };
  private knownUntil = 0;
  private wholeUntil = 0;
  /** The value sets and code systems that had changed lately when the sets were looked up: `type/id/version`. */
  private terminologySeen: ReadonlySet<string> | null = null;
  private terminologySince = new Date(0);
  /** Changes of Subscriptions committed here. A look that began before the newest of them may have missed it. */
  private changes = 0;
  private readonly reported = new Set<string>();
  /** A Subscription that is `active` could not be read, or one that is in `error` for that can be again. */
  private doubtful = false;

  constructor(
    private readonly store: ResourceStore,
    private readonly rows: Pick<SubscriptionStore, 'live' | 'changedSince' | 'authors' | 'terminologySince'>,
    private readonly settings: SubscriptionSettings,
    private readonly log: Pick<Logger, 'warn'>,
    private readonly knownMs = KNOWN_MS,
  ) {}

  /** Subscriptions change in this transaction, perhaps with topics, or value sets and code systems. */
  touch(tx: Transaction, { topics, terminology }: { topics: boolean; terminology: boolean }): void {
    tx.afterCommit(() => {
      this.knownUntil = 0;
      if (topics || (terminology && this.known.sets.used)) this.wholeUntil = 0;
      this.changes += 1;
    });
  }

  /** `touched`: this very transaction changes one. What it sees is for itself alone: it may still be rolled back. */
  async look(tx: Transaction, touched: boolean): Promise<WatchIndex> {
    const now = Date.now();
    if (touched) return (await this.readAll(tx, this.known.sets.copy())).index;
    if (now < this.knownUntil) return this.known.index;
    const before = this.changes;
    const whole = now >= this.wholeUntil || (await this.terminologyChanged(tx));
    const known = whole ? await this.readAll(tx, new CodeSets()) : await this.readChanged(tx, this.known);
    this.known = known;
    if (before === this.changes) {
      this.knownUntil = now + this.knownMs;
      if (whole) this.wholeUntil = now + WHOLE_MS;
    }
    return known.index;
  }

  /** One that is told of changes; null: it is over, or cannot be followed. */
  async find(tx: Transaction, id: string): Promise<ReadSubscription | null> {
    await this.look(tx, false);
    return this.known.subscriptions.get(id)?.subscription ?? null;
  }

  /** Reads one that is just written, with the topics as they stand in its transaction. Throws what its author should know. */
  async read(tx: Transaction, subscription: Subscription): Promise<ReadSubscription> {
    const topics = await knownTopics(this.store, tx);
    return withSets(tx, new CodeSets(), (sets) =>
      readSubscription(subscription, topics, this.settings, sets),
    );
  }

  /** Throws when a Basic that is just written says it is a topic and could not be followed. */
  checkTopic(tx: Transaction, basic: Basic, base: string): Promise<void> {
    return withSets(tx, new CodeSets(), (sets) => checkTopicWritten(basic, base, sets));
  }

  /** Is there a status that what was read since the last call contradicts? Then `check-criteria.ts` has work. */
  takeDoubt(): boolean {
    const doubtful = this.doubtful;
    this.doubtful = false;
    return doubtful;
  }

  /** Do any criteria go by value sets or code systems? */
  get usesTerminology(): boolean {
    return this.known.sets.used;
  }

  /** Reads each as it would be read for a match now. `why`: what is wrong, in words; null: it can be followed. */
  async check(sql: Sql, subscriptions: readonly Subscription[]): Promise<CheckedSubscription[]> {
    const topics = await knownTopics(this.store, sql);
    const sets = new CodeSets();
    const checked: CheckedSubscription[] = [];
    for (const subscription of subscriptions) {
      try {
        const read = await withSets(sql, sets, () =>
          readSubscription(subscription, topics, this.settings, sets),
        );
        checked.push({ subscription, read, why: null });
      } catch (error) {
        if (!isOfSubscription(error)) throw error;
        checked.push({ subscription, read: null, why: (error as Failure).message });
      }
    }
    return checked;
  }

  private async readAll(tx: Transaction, sets: CodeSets): Promise<Known> {
    const topics = await knownTopics(this.store, tx);
    return this.take(tx, { ...NOTHING, topics, sets }, await this.rows.live(tx));
  }

  /** Of another process, or of a command that imports; its own changes this process hears of by `touch`. Asked only where criteria go by terminology. */
  private async terminologyChanged(tx: Transaction): Promise<boolean> {
    if (!this.known.sets.used) {
      this.terminologySeen = null;
      return false;
    }
    const changed = await this.rows.terminologySince(tx, this.terminologySince);
    const seen = this.terminologySeen;
    const isNew = seen === null || changed.some(({ key }) => !seen.has(key));
    const newest = Math.max(this.terminologySince.getTime(), ...changed.map(({ at }) => at.getTime()));
    this.terminologySince = new Date(newest - OVERLAP_MS);
    this.terminologySeen = new Set(
      changed.filter(({ at }) => at > this.terminologySince).map(({ key }) => key),
    );
    return isNew;
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
      const parsed = one?.parse<Subscription>();
      const read = parsed && (await this.readQuietly(tx, parsed, known));
      if (parsed && (read ? isUnfollowed(parsed) : parsed.status === 'active')) this.doubtful = true;
      const author = authors.get(id);
      const subscription = read && author ? { ...read, access: accessOfSubscriber(author) } : (read ?? null);
      if (one) subscriptions.set(id, { version, subscription });
      else subscriptions.delete(id);
    }
    return {
      subscriptions,
      topics: known.topics,
      sets: known.sets,
      newest: Math.max(known.newest, ...rows.map((row) => row.last_updated.getTime())),
      index: indexWatches([...subscriptions.values()].flatMap(({ subscription }) => subscription ?? [])),
    };
  }

  /**
   * One that could not be stored today (its host was taken off the list, a parameter is not known any more) is passed over; it must not stop
   * the write of a study. What SQL throws is not caught: it ended the transaction.
   */
  private async readQuietly(
    tx: Transaction,
    subscription: Subscription,
    { topics, sets }: Known,
  ): Promise<ReadSubscription | null> {
    try {
      return await withSets(tx, sets, () => readSubscription(subscription, topics, this.settings, sets));
    } catch (error) {
      if (error instanceof Failure && !isOfSubscription(error)) throw error;
      if (isOfDatabase(error)) throw error;
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

/** Reads once, and where value sets or parts of a hierarchy were named that are not known yet, looks them up and reads again. */
async function withSets<T>(sql: Sql, sets: CodeSets, read: (sets: CodeSets) => T): Promise<T> {
  for (;;) {
    const result = read(sets);
    if (sets.open.size === 0) return result;
    await sets.fetch(sql);
  }
}

/** What it says, or what it names, is at fault. */
const isOfSubscription = (error: unknown): boolean =>
  error instanceof Failure && /^(?:fhir|subscription|terminology)\./.test(error.code);

/** An SQLSTATE: the transaction is over. */
const isOfDatabase = (error: unknown): boolean =>
  /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown } | null)?.code));

/** More broken Subscriptions than a hospital has Subscriptions; beyond it they are named again. */
const REPORTED_MAX = 1_000;
