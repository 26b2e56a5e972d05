import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AuditEntry, AuditSink } from '../database/audit-sink.ts';
import type { Database, Transaction } from '../database/database.ts';
import { actingNow } from '../kernel/acting.ts';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { type ActedEntry, AuditChain } from './audit/audit-chain.ts';
import { insertRow, insertRowLater, startSegment } from './audit/audit-event.store.ts';
import type { AuditRow } from './audit/audit-row.ts';
import { closeDeadSegments, SegmentLock } from './audit/close-segments.ts';

/** Entries that share a commit: bounds what one failure fails. */
export const GROUP_ENTRIES_MAX = 500;
/** Answers that wait for their audit row. More would only wait longer: they are refused at once. */
export const WAITING_ENTRIES_MAX = 5_000;
/**
 * How long the first of the next group waits for the others, behind a group of so many. Two commits at once were tried: the groups were smaller, and
 * what a commit costs the processor weighed more than the time that was won.
 */
export const GATHER_MS = 2;
const GATHERED_MIN = 8;
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
  private waiting: Waiting[] = [];
  private busy = false;

  private constructor(
    private readonly database: Database,
    private readonly chain: AuditChain,
    private readonly lock: SegmentLock,
    private readonly log: Logger,
  ) {}

  /** Begins a chain for this process, and closes those of processes that are no more. */
  static async start(database: Database, clock: Clock, log: Logger): Promise<AuditTrail> {
    const about = { at: clock.now(), host: hostname().slice(0, 255), process: process.pid };
    const segment = await startSegment(database, about);
    const lock = await SegmentLock.take(database, segment);
    const trail = new AuditTrail(database, new AuditChain(segment, clock), lock, log);
    await trail.record({ kind: 'chain', interaction: 'start', action: 'E', outcome: 0 });
    await closeDeadSegments(database, lock, segment, (tx, entry) => trail.append(tx, [entry]));
    return trail;
  }

  get segment(): number {
    return this.chain.segment;
  }

  record(entry: AuditEntry): Promise<void> {
    if (this.waiting.length >= WAITING_ENTRIES_MAX) return Promise.reject(unavailable());
    const actor = actingNow()?.actor() ?? null;
    const stored = new Promise<void>((resolve, reject) => {
      this.waiting.push({ entry, actor, resolve, reject });
    });
    if (!this.busy) {
      this.busy = true;
      // What else comes in this turn of the event loop goes along.
      setImmediate(() => void this.work());
    }
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
  release(): Promise<void> {
    return this.lock.release();
  }

  private async append(tx: Transaction, entries: readonly AuditEntry[]): Promise<AuditRow> {
    const actor = actingNow()?.actor() ?? null;
    const row = this.chain.append(entries.map((entry) => ({ entry, actor })));
    // Also where the commit is in doubt: a row that is there after all does no harm to what is said of its place.
    tx.afterRollback(() => this.chain.lost(row));
    await insertRowLater(tx, row);
    return row;
  }

  private async work(): Promise<void> {
    while (this.waiting.length > 0) {
      const group = this.waiting.splice(0, GROUP_ENTRIES_MAX);
      await this.commit(group);
      // Many that were answered together ask again together: a moment's patience makes their next group one.
      if (group.length >= GATHERED_MIN) await sleep(GATHER_MS);
    }
    this.busy = false;
  }

  private async commit(group: readonly Waiting[]): Promise<void> {
    const voids = this.chain.takeVoids(VOIDS_PER_ROW_MAX);
    const row = this.chain.append(
      voids.length > 0 ? [...group, { entry: voidEntry(voids), actor: null }] : group,
    );
    try {
      await insertRow(this.database, row);
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
