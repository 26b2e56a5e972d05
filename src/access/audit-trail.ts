import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { AuditEntry, AuditSink } from '../database/audit-sink.ts';
import type { Database, SqlApart, Transaction } from '../database/database.ts';
import { actingNow } from '../kernel/acting.ts';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { type ActedEntry, AuditChain } from './audit/audit-chain.ts';
import { insertRow, insertRowLater, sortInKeys, startSegment } from './audit/audit-event.store.ts';
import type { AuditRow } from './audit/audit-row.ts';
import { closeDeadSegments, SegmentLock } from './audit/close-segments.ts';

/** Entries that share a commit: bounds what one failure fails. */
export const GROUP_ENTRIES_MAX = 500;
/** Answers that wait for their audit row. More would only wait longer: they are refused at once. */
export const WAITING_ENTRIES_MAX = 5_000;
/** Groups that are committed beside each other, each on a connection that nobody else uses. A third only made the groups smaller. */
export const COMMITS_AT_ONCE = 2;
/** A group of half of those who are being answered is worth a commit: while it is under way the other half is answered. */
const SHARE_OF_AWAITED = 0.5;
/**
 * Reads of one resource take so little that all who are being answered are there in a moment: one group of all, and one commit at a time, costs less than the other half is worth. What a commit costs is
 * that everybody sleeps for the disk and wakes with cold caches.
 */
const ALL_READS = { share: 1, commits: 1 } as const;
const MIXED = { share: SHARE_OF_AWAITED, commits: COMMITS_AT_ONCE } as const;
/** A group to which nothing came for so long waits no longer: those who are still being answered are slow. */
export const PAUSE_MS = 1;
/** The first of a group waits no longer for the others, though they keep coming: what 128 callers of a busy machine need for half of them. */
export const GATHER_MS_MAX = 10;
/** Rows of this process after which their keys are sorted into the index: searches look through those that wait one by one. */
export const SORTED_IN_ROWS = 1_000;
/** Holes that one row speaks of. */
const VOIDS_PER_ROW_MAX = 100;

interface Waiting extends ActedEntry {
  readonly resolve: () => void;
  readonly reject: (error: Failure) => void;
}

/**
 * Records who did what to whom. Entries of a transaction commit with it. All others come together: what waits while a group is being committed
 * is the next group, so an answer waits for two commits at most and many share one. Nothing is kept for later: an entry that cannot be stored
 * fails what it was about.
 */
export class AuditTrail implements AuditSink<Transaction> {
  awaited = 0;
  awaitedReads = 0;
  private waiting: Waiting[] = [];
  private underWay = 0;
  /** `work` is about to be called. */
  private woken = false;
  private patience: NodeJS.Timeout | null = null;
  private sortedIn = 0;

  private constructor(
    private readonly database: Database,
    private readonly connections: SqlApart,
    private readonly chain: AuditChain,
    private readonly lock: SegmentLock,
    private readonly log: Logger,
  ) {}

  /** Begins a chain for this process, and closes those of processes that are no more. */
  static async start(database: Database, clock: Clock, log: Logger): Promise<AuditTrail> {
    const about = { at: clock.now(), host: hostname().slice(0, 255), process: process.pid };
    const segment = await startSegment(database, about);
    const lock = await SegmentLock.take(database, segment);
    const trail = new AuditTrail(
      database,
      database.apart(COMMITS_AT_ONCE),
      new AuditChain(segment, clock),
      lock,
      log,
    );
    await trail.record({ kind: 'chain', interaction: 'start', action: 'E', outcome: 0 });
    await closeDeadSegments(database, lock, segment, (tx, entry) => trail.append(tx, [entry]));
    return trail;
  }

  get segment(): number {
    return this.chain.segment;
  }

  record(entry: AuditEntry): Promise<void> {
    if (this.waiting.length >= WAITING_ENTRIES_MAX) return Promise.reject(unavailable());
    const actor = entry.actor ? null : (actingNow()?.actor() ?? null);
    const stored = new Promise<void>((resolve, reject) => {
      this.waiting.push({ entry, actor, resolve, reject });
    });
    this.look();
    return stored;
  }

  async recordIn(tx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length > 0) await this.append(tx, entries);
  }

  /** The process is about to end. */
  async sayStop(): Promise<void> {
    await this.record({ kind: 'chain', interaction: 'stop', action: 'E', outcome: 0 }).catch(() => undefined);
  }

  /** Gives back the lock that said that the chain is written to. */
  async release(): Promise<void> {
    await this.lock.release();
    await this.connections.end().catch(() => undefined);
  }

  private async append(tx: Transaction, entries: readonly AuditEntry[]): Promise<AuditRow> {
    const actor = actingNow()?.actor() ?? null;
    const row = this.chain.append(entries.map((entry) => ({ entry, actor })));
    // Also where the commit is in doubt: a row that is there after all does no harm to what is said of its place.
    tx.afterRollback(() => this.chain.lost(row));
    await insertRowLater(tx, row);
    this.sortIn();
    return row;
  }

  private get pace(): typeof ALL_READS | typeof MIXED {
    return this.awaited > 0 && this.awaitedReads >= this.awaited ? ALL_READS : MIXED;
  }

  /** Begins the next group, when it is large enough, or grows no more. */
  private look(): void {
    const { share, commits } = this.pace;
    if (this.woken || this.waiting.length === 0 || this.underWay >= commits) return;
    if (this.waiting.length >= this.awaited * share) this.wake();
    else if (!this.patience) this.gather(0, performance.now());
  }

  /** `before`: how many there were at the last look. */
  private gather(before: number, since: number): void {
    this.patience = setTimeout(() => {
      const { length } = this.waiting;
      if (length === before || performance.now() - since >= GATHER_MS_MAX) this.wake();
      else this.gather(length, since);
    }, PAUSE_MS);
  }

  /** What else comes in this turn of the event loop goes along. */
  private wake(): void {
    if (this.patience) clearTimeout(this.patience);
    this.patience = null;
    this.woken = true;
    setImmediate(() => this.work());
  }

  private work(): void {
    this.woken = false;
    if (this.waiting.length === 0 || this.underWay >= COMMITS_AT_ONCE) return;
    const group = this.waiting.splice(0, GROUP_ENTRIES_MAX);
    this.underWay += 1;
    void this.commit(group).then(() => {
      this.underWay -= 1;
      this.sortIn();
      this.look();
    });
  }

  private sortIn(): void {
    if (this.chain.length < this.sortedIn + SORTED_IN_ROWS) return;
    // The next time is counted from here even when this one fails: PostgreSQL sorts in by itself when the list is too long.
    this.sortedIn = this.chain.length;
    sortInKeys(this.database).catch((error: unknown) =>
      this.log.warn({ code: (error as { code?: unknown }).code }, 'keys of the audit were not sorted in'),
    );
  }

  private async commit(group: readonly Waiting[]): Promise<void> {
    const voids = this.chain.takeVoids(VOIDS_PER_ROW_MAX);
    const row = this.chain.append(
      voids.length > 0 ? [...group, { entry: voidEntry(voids), actor: null }] : group,
    );
    try {
      await insertRow(this.connections, row);
      for (const { resolve } of group) resolve();
    } catch (cause) {
      this.chain.lost(row);
      this.chain.putBack(voids);
      this.log.error(
        { entries: group.length, code: (cause as { code?: unknown }).code },
        'audit rows could not be stored: their answers are refused',
      );
      for (const { reject } of group) reject(unavailable(cause));
    }
  }
}

const voidEntry = (voids: readonly object[]): AuditEntry => ({
  kind: 'chain',
  interaction: 'void',
  action: 'E',
  outcome: 0,
  detail: JSON.stringify(voids),
  actor: { client: 'prelim' },
});

const unavailable = (cause?: unknown): Failure =>
  new Failure(
    'audit.unavailable',
    'The audit cannot be written, so nothing is shown. Try again in a few seconds.',
    {
      cause,
    },
  );
