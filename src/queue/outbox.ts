import { Injectable } from '@nestjs/common';
import type { Sql, Transaction } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';
import { waitingRows } from './claim.ts';
import type { JobRequest, OfferedJob } from './job.ts';
import { lockLane } from './lock-lane.ts';

/** Whoever runs jobs in this process: told of rows after their commit. */
export interface JobEngine {
  /** The number this process runs under when it can take one more job of the queue right now, else null. Pairs with `take` or `giveBack`. */
  reserve(queue: string): number | null;
  /** `uncertain`: the row may have been committed as running under our number all the same. */
  giveBack(queue: string, uncertain: boolean): void;
  /** The row was written as running under our number: run it now. */
  take(job: TakenJob): void;
  /** Rows are waiting. */
  offer(jobs: readonly OfferedJob[]): void;
}

export interface TakenJob {
  readonly id: string;
  readonly queue: string;
  readonly lane: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
}

/** A job that was given up. What it carried is not shown. */
export interface DeadLetter {
  readonly id: string;
  readonly queue: string;
  readonly reason: string;
  readonly created_at: Date;
  readonly attempts: number;
}

export interface Replayed {
  readonly queue: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/**
 * The outbox: a row is written in the transaction of its cause, and is the truth about the job until it is finished.
 *
 * When this process has room for the job, the row is written as already running here, and the job starts with the commit: no
 * claim, no round trip. If the process dies, its number is no longer held and the row goes back to waiting (see `runner.ts`).
 */
@Injectable()
export class Outbox {
  private engine: JobEngine | null = null;

  use(engine: JobEngine): void {
    this.engine = engine;
  }

  /** Writes jobs beside their cause. They start after the commit. */
  async add(tx: Transaction, requests: readonly JobRequest<object>[]): Promise<void> {
    for (const request of requests) {
      if (request.lane !== undefined) await lockLane(tx, request.lane);
      await this.addOne(tx, request);
    }
  }

  private async addOne(tx: Transaction, request: JobRequest<object>): Promise<void> {
    const engine = this.engine;
    const runner = request.notBefore === undefined ? (engine?.reserve(request.queue) ?? null) : null;
    let reserved = runner !== null;
    tx.afterRollback((uncertain) => reserved && engine?.giveBack(request.queue, uncertain));
    const [row] = await tx.run<{ id: string; created_at: Date; state: string; added: boolean }>(INSERT, [
      request.queue,
      JSON.stringify(request.payload),
      request.lane ?? null,
      request.key ?? null,
      request.priority ?? 100,
      request.notBefore ?? null,
      runner,
    ]);
    // The end of its lane's head lets it go; one that runs with its key runs again by itself.
    const isSeenTo = !row || row.state === 'held' || (row.state === 'running' && !row.added);
    if (isSeenTo || !row.added) {
      if (reserved) engine?.giveBack(request.queue, false);
      reserved = false;
    }
    if (isSeenTo) return;
    if (reserved && runner !== null && engine) {
      const payload = request.payload as Readonly<Record<string, unknown>>;
      const lane = request.lane ?? null;
      tx.afterCommit(() =>
        engine.take({ id: row.id, queue: request.queue, lane, payload, createdAt: row.created_at }),
      );
    } else {
      const notBefore = request.notBefore ?? null;
      tx.afterCommit(() =>
        engine?.offer([
          { id: row.id, queue: request.queue, lane: request.lane ?? null, notBefore, attempt: 0 },
        ]),
      );
      await tx.run(NOTIFY, [request.queue]);
    }
  }

  /** Writes a dead letter of a thing that was one of many in its job. Gives its number. */
  async bury(
    tx: Transaction,
    { queue, payload }: Pick<JobRequest<object>, 'queue' | 'payload'>,
    { why, attempts }: { readonly why: string; readonly attempts: number },
  ): Promise<string> {
    const [row] = await tx.run<{ id: string }>(BURIED, [queue, JSON.stringify(payload), attempts, why]);
    return row?.id ?? '';
  }

  /** A job was made a dead letter for one of the things it was to do: what it carries says which. */
  async buryAs(tx: Transaction, id: string, payload: object): Promise<void> {
    await tx.run(BURIED_AS, [id, JSON.stringify(payload)]);
  }

  /** Takes a dead letter of queues like these away and gives what it was; null when there is no such dead letter. */
  async takeDead(tx: Transaction, id: string, queues = '%'): Promise<Replayed | null> {
    const [row] = await tx.run<Replayed>(TAKE_DEAD, [id, queues]);
    return row ?? null;
  }

  /** Does a job of this queue wait that could run now? */
  async othersWait(sql: Sql, queue: string): Promise<boolean> {
    return (await waitingRows(sql, [queue], 1)).length > 0;
  }

  /** Jobs that ended as dead letters, newest first. */
  dead(sql: Sql, limit: number): Promise<DeadLetter[]> {
    return sql.run(DEAD, [limit]);
  }

  /**
   * Puts a dead letter back in its queue with all its attempts, as the next of its lane. Null when there is no such dead letter.
   * @throws Failure `job.not-dead` when another job with its key is kept, which does the same
   */
  async replay(tx: Transaction, id: string): Promise<Replayed | null> {
    const [at] = await tx.run<{ lane: string | null }>(LANE_OF, [id]);
    if (typeof at?.lane === 'string') await lockLane(tx, at.lane);
    const [row] = await tx
      .run<Replayed & { lane: string | null; state: string }>(REPLAY, [id])
      .catch(sameJobIsKept);
    if (!row) return null;
    if (row.state !== 'held') {
      tx.afterCommit(() =>
        this.engine?.offer([{ id, queue: row.queue, lane: row.lane, notBefore: null, attempt: 0 }]),
      );
      await tx.run(NOTIFY, [row.queue]);
    }
    return { queue: row.queue, payload: row.payload };
  }

  /** Is there a job with this number, in whatever state? */
  async has(sql: Sql, id: string): Promise<boolean> {
    return (await sql.run(HAS, [id])).length > 0;
  }

  /** How many rows stand in each state, by queue: for metrics and readiness. */
  counts(sql: Sql): Promise<{ queue: string; state: string; jobs: number; oldest_seconds: number }[]> {
    return sql.run(COUNTS);
  }
}

/** PostgreSQL 23505: a row with the same key waits or runs. */
function sameJobIsKept(error: unknown): never {
  if ((error as { code?: unknown }).code === '23505')
    throw new Failure('job.not-dead', 'A newer job for the same thing waits or runs already.', {
      cause: error,
    });
  throw error;
}

/**
 * A row with the same key is not written twice; it learns what this cause knows. One that is running now may have looked before this cause happened, so it is
 * marked to run again.
 */
const INSERT = {
  name: 'outbox-insert',
  text: `INSERT INTO outbox (queue, payload, lane, key, priority, not_before, state, runner, attempt, started_at)
    SELECT $1, $2, $3, $4, $5, coalesce($6::timestamptz, now()),
      CASE WHEN behind THEN 'held' WHEN $7::int IS NOT NULL THEN 'running' ELSE 'waiting' END,
      CASE WHEN behind THEN NULL ELSE $7::int END,
      CASE WHEN behind OR $7::int IS NULL THEN 0 ELSE 1 END,
      CASE WHEN behind OR $7::int IS NULL THEN NULL ELSE now() END
    FROM (SELECT EXISTS (SELECT 1 FROM outbox e WHERE e.lane = $3 AND e.state IN ('waiting', 'running'))
      OR EXISTS (SELECT 1 FROM outbox e WHERE e.lane = $3 AND e.state = 'held') AS behind) AS l
    ON CONFLICT (queue, key) WHERE key IS NOT NULL AND state <> 'dead'
      DO UPDATE SET again = outbox.state = 'running', payload = outbox.payload || EXCLUDED.payload
    RETURNING id, created_at, state, xmax = 0 AS added`,
};

const NOTIFY = { name: 'outbox-notify', text: `SELECT pg_notify('outbox', $1)` };

const BURIED = {
  name: 'outbox-buried',
  text: `INSERT INTO outbox (queue, payload, attempt, reason, state) VALUES ($1, $2, $3, $4, 'dead') RETURNING id`,
};

const BURIED_AS = {
  name: 'outbox-buried-as',
  text: `UPDATE outbox SET payload = $2, key = NULL WHERE id = $1 AND state = 'dead'`,
};

const TAKE_DEAD = {
  name: 'outbox-take-dead',
  text: `DELETE FROM outbox WHERE id = $1 AND state = 'dead' AND queue LIKE $2 RETURNING queue, payload`,
};

const DEAD = {
  name: 'outbox-dead',
  text: `SELECT id, queue, reason, created_at, attempt AS attempts FROM outbox WHERE state = 'dead' ORDER BY id DESC LIMIT $1`,
};

const HAS = { name: 'outbox-has', text: 'SELECT 1 FROM outbox WHERE id = $1' };

const LANE_OF = { name: 'outbox-lane-of', text: 'SELECT lane FROM outbox WHERE id = $1' };

const REPLAY = {
  name: 'outbox-replay',
  text: `UPDATE outbox o SET attempt = 0, reason = NULL, runner = NULL, not_before = now(),
      state = CASE WHEN EXISTS (SELECT 1 FROM outbox e WHERE e.lane = o.lane AND e.state IN ('waiting', 'running'))
        OR EXISTS (SELECT 1 FROM outbox e WHERE e.lane = o.lane AND e.state = 'held') THEN 'held' ELSE 'waiting' END
    WHERE id = $1 AND state = 'dead' RETURNING queue, lane, payload, state`,
};

const COUNTS = {
  name: 'outbox-counts',
  text: `SELECT queue, state, count(*)::int AS jobs, extract(epoch FROM now() - min(created_at))::float AS oldest_seconds
    FROM outbox GROUP BY queue, state`,
};
