import { mayHaveHappened } from '../database/connection-failure.ts';
import type { Database, Transaction } from '../database/database.ts';
import { type ClaimedRow, toJob } from './claim.ts';
import type { Ahead, Job } from './job.ts';

/** More do not make a commit cheaper; a failure undoes no more than these. */
export const ENDS_TOGETHER_MAX = 64;

/**
 * A group waits for lanes whose next message left with the group before, as long as a commit takes at most: a receiver that answers at once then finds all
 * its lanes in one commit, not in two that take turns. One that is slow costs each group these few milliseconds.
 */
export const GATHER_MS_MAX = 5;
/** A timer takes a millisecond: with quicker commits there is nothing to gain. */
const GATHER_MS_MIN = 0.5;

interface Ending {
  readonly job: Job;
  readonly lane: string;
  readonly runner: number;
  /** The next of the lane may start at once, in the place of this one. */
  readonly goOn: boolean;
  readonly write: ((tx: Transaction) => Promise<void>) | undefined;
  readonly ahead: Ahead | undefined;
  readonly settle: (ended: LaneEnd | null) => void;
}

export interface LaneEnd {
  /** The next of the lane, claimed under our number; null when there is none or somebody else is to have it. */
  readonly next: Job | null;
}

/**
 * Ends the heads of several lanes in one transaction: while one is under way, the next ends gather. What each wants to write is written in it, the
 * next of each lane becomes its head, and where it may go on at once it is claimed in the same statement. All of it goes
 * to the database at once, so a lane costs its share of one round trip and one commit for each job, where by itself it would cost five and two.
 */
export class LaneEnds {
  private waiting: Ending[] = [];
  private working = false;
  /** Lanes that went on with the last group and have not come back. */
  private readonly coming = new Set<string>();
  private allCame: (() => void) | null = null;
  private commitMs = 0;

  constructor(
    private readonly database: Database,
    /** Nobody knows what stands in the table under this number: it must be given up. */
    private readonly lost: (runner: number) => void,
  ) {}

  /** Null: nothing was written, and the job must be ended by itself (one of the others failed, or a claim was lost). */
  end(
    job: Job,
    lane: string,
    { runner, goOn, write, ahead }: Pick<Ending, 'runner' | 'goOn' | 'write' | 'ahead'>,
  ): Promise<LaneEnd | null> {
    return new Promise((settle) => {
      this.waiting.push({ job, lane, runner, goOn, write, ahead, settle });
      this.coming.delete(lane);
      if (this.coming.size === 0) this.allCame?.();
      if (!this.working) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.working = true;
    // Answers that came with the same look at the network end together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      await this.gather();
      const runner = this.waiting[0]?.runner;
      const group = this.waiting.filter((one) => one.runner === runner).slice(0, ENDS_TOGETHER_MAX);
      this.waiting = this.waiting.filter((one) => !group.includes(one));
      const began = performance.now();
      const next = await this.endAll(group).catch((error: unknown) => this.failed(error, runner));
      this.commitMs = performance.now() - began;
      for (const lane of next?.keys() ?? []) this.coming.add(lane);
      for (const one of group) one.settle(next === null ? null : { next: next.get(one.lane) ?? null });
    }
    this.working = false;
  }

  /** Where the answer was lost, the next of each lane may run under our number in the table, and here nobody would know of it. */
  private failed(error: unknown, runner: number | undefined): null {
    if (runner !== undefined && mayHaveHappened(error)) this.lost(runner);
    return null;
  }

  private async gather(): Promise<void> {
    const ms = Math.min(this.commitMs, GATHER_MS_MAX);
    if (this.coming.size > 0 && ms >= GATHER_MS_MIN && this.waiting.length < ENDS_TOGETHER_MAX) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.allCame = resolve;
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
      this.allCame = null;
    }
    // Whoever is late is not waited for a second time.
    this.coming.clear();
  }

  /** By lane. Throws when not all were ours to end: then nothing is written. */
  private endAll(group: readonly Ending[]): Promise<Map<string, Job>> {
    const sorted = [...group].sort((a, b) => (a.lane < b.lane ? -1 : 1));
    const lanes = sorted.map(({ lane }) => lane);
    const runner = sorted[0]?.runner;
    return this.database.transaction(async (tx) => {
      for (const [statement, values] of [
        [BY_INDEX, []],
        [LOCK_LANES, [lanes]],
      ] as const) {
        if (tx.later) tx.later(statement, values);
        else await tx.run(statement, values);
      }
      const ids = sorted.map(({ job }) => job.id);
      if (tx.later) tx.later(FINISH_ALL, [ids, runner]);
      else await tx.run(FINISH_ALL, [ids, runner]);
      for (const { write } of sorted) await write?.(tx);
      const values = [lanes, sorted.map(({ goOn }) => goOn), runner];
      const rows = tx.last
        ? await promoteAndBegin(tx, values, sorted)
        : await tx.run<ClaimedRow>(PROMOTE_ALL, values);
      return new Map(
        rows.filter((row) => row.state === 'running').map((row) => [String(row.lane), toJob(row)] as const),
      );
    });
  }
}

async function promoteAndBegin(
  tx: Transaction,
  values: readonly unknown[],
  sorted: readonly Ending[],
): Promise<ClaimedRow[]> {
  const aheads = [...new Set(sorted.flatMap(({ ahead, goOn }) => (ahead && goOn ? [ahead] : [])))];
  const [lanes, , runner] = values;
  const [promoted = [], ...begun] =
    (await tx.last?.(
      { statement: PROMOTE_ALL, values },
      ...aheads.map(({ statement }) => ({ statement, values: [lanes, runner] })),
    )) ?? [];
  for (const [at, ahead] of aheads.entries()) ahead.keep(begun[at] ?? []);
  return promoted as ClaimedRow[];
}

/**
 * A plan is kept for the life of a connection, and one that was made while the table was empty reads all of it: here the rows are always few and have an index.
 * The first of a lane is the first in its index: reading all of a long lane to sort it took most of the time there was.
 * One plan serves groups of all sizes: left to itself the planner plans again for each, which takes twice as long as the statement.
 */
export const BY_INDEX = {
  name: 'plan-by-index',
  text: `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true)`,
};

/** As `lockLane`, for several, always in the same order. */
const LOCK_LANES = {
  name: 'outbox-lock-lanes',
  text: `SELECT pg_advisory_xact_lock(hashtextextended(lane, 7263)) FROM unnest($1::text[]) AS all_of(lane)`,
};

/** A division by zero where not all of them were ours to end: it undoes the transaction without a round trip to ask. */
const FINISH_ALL = {
  name: 'outbox-finish-all',
  text: `WITH gone AS (DELETE FROM outbox WHERE id = ANY($1::bigint[]) AND runner = $2 AND NOT again RETURNING id)
    SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM gone`,
};

const PROMOTE_ALL = {
  name: 'outbox-promote-all',
  text: `UPDATE outbox o SET
      state = CASE WHEN n.go_on AND o.not_before <= now() THEN 'running' ELSE 'waiting' END,
      runner = CASE WHEN n.go_on AND o.not_before <= now() THEN $3::int END,
      attempt = o.attempt + CASE WHEN n.go_on AND o.not_before <= now() THEN 1 ELSE 0 END,
      started_at = CASE WHEN n.go_on AND o.not_before <= now() THEN now() ELSE o.started_at END
    FROM unnest($1::text[], $2::boolean[]) AS n(lane, go_on)
    CROSS JOIN LATERAL (
      SELECT h.id FROM outbox h WHERE h.lane = n.lane AND h.state = 'held' ORDER BY h.id LIMIT 1) AS next
    WHERE o.id = next.id
      AND (SELECT b.id FROM outbox b WHERE b.lane = n.lane AND b.state IN ('waiting', 'running')) IS NULL
    RETURNING o.id, o.queue, o.payload, o.lane, o.attempt, o.created_at, o.state`,
};
