import { Injectable } from '@nestjs/common';
import type { Sql, Transaction } from '../database/database.ts';
import type { JobRequest } from './job.ts';

/** A row just written, as the engine needs it. */
export interface OfferedJob {
  readonly id: string;
  readonly queue: string;
  readonly lane: string | null;
  readonly notBefore: Date | null;
}

/** Whoever runs jobs in this process: told of rows after their commit. */
export interface JobEngine {
  /** The number this process runs under when it can take one more job of the queue right now, else null. Pairs with `take` or `giveBack`. */
  reserve(queue: string): number | null;
  giveBack(queue: string): void;
  /** The row was written as running under our number: run it now. */
  take(job: TakenJob): void;
  /** Rows are waiting. */
  offer(jobs: readonly OfferedJob[]): void;
}

export interface TakenJob {
  readonly id: string;
  readonly queue: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
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
      if (request.lane !== undefined) await tx.run(LOCK_LANE, [request.lane]);
      await this.addOne(tx, request);
    }
  }

  private async addOne(tx: Transaction, request: JobRequest<object>): Promise<void> {
    const engine = this.engine;
    // A lane's row waits for those before it, and a key may meet a row that exists: both are claimed the long way.
    const simple = request.lane === undefined && request.key === undefined && request.notBefore === undefined;
    const runner = simple ? (engine?.reserve(request.queue) ?? null) : null;
    if (runner !== null) tx.afterRollback(() => engine?.giveBack(request.queue));
    const [row] = await tx.run<{ id: string; created_at: Date }>(INSERT, [
      request.queue,
      JSON.stringify(request.payload),
      request.lane ?? null,
      request.key ?? null,
      request.priority ?? 100,
      request.notBefore ?? null,
      runner,
    ]);
    if (!row || !engine) return;
    if (runner !== null) {
      const payload = request.payload as Readonly<Record<string, unknown>>;
      tx.afterCommit(() => engine.take({ id: row.id, queue: request.queue, payload, createdAt: row.created_at }));
    } else {
      const notBefore = request.notBefore ?? null;
      tx.afterCommit(() => engine.offer([{ id: row.id, queue: request.queue, lane: request.lane ?? null, notBefore }]));
      await tx.run(NOTIFY, [request.queue]);
    }
  }

  /** Jobs that ended as dead letters, newest first. */
  dead(sql: Sql, limit: number): Promise<{ id: string; queue: string; reason: string; created_at: Date }[]> {
    return sql.run(DEAD, [limit]);
  }

  /** Puts a dead letter back in its queue with all its attempts. */
  async replay(tx: Transaction, id: string): Promise<boolean> {
    const [row] = await tx.run<{ queue: string; lane: string | null }>(REPLAY, [id]);
    if (!row) return false;
    tx.afterCommit(() => this.engine?.offer([{ id, queue: row.queue, lane: row.lane, notBefore: null }]));
    await tx.run(NOTIFY, [row.queue]);
    return true;
  }

  /** How many rows stand in each state, by queue: for metrics and readiness. */
  counts(sql: Sql): Promise<{ queue: string; state: string; jobs: number; oldest_seconds: number }[]> {
    return sql.run(COUNTS);
  }
}

/** One lane's rows get their numbers in the order in which they are committed. */
const LOCK_LANE = { name: 'outbox-lock-lane', text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 7263))' };

/**
 * A row with the same key is not written twice. One that is running now may have looked before this cause happened, so it is
 * marked to run again.
 */
const INSERT = {
  name: 'outbox-insert',
  text: `INSERT INTO outbox (queue, payload, lane, key, priority, not_before, state, runner, attempt, started_at)
    VALUES ($1, $2, $3, $4, $5, coalesce($6::timestamptz, now()),
      CASE WHEN $7::int IS NULL THEN 'waiting' ELSE 'running' END, $7::int,
      CASE WHEN $7::int IS NULL THEN 0 ELSE 1 END, CASE WHEN $7::int IS NULL THEN NULL ELSE now() END)
    ON CONFLICT (queue, key) WHERE key IS NOT NULL AND state <> 'dead'
      DO UPDATE SET again = outbox.state = 'running'
    RETURNING id, created_at`,
};

const NOTIFY = { name: 'outbox-notify', text: `SELECT pg_notify('outbox', $1)` };

const DEAD = {
  name: 'outbox-dead',
  text: `SELECT id, queue, reason, created_at FROM outbox WHERE state = 'dead' ORDER BY id DESC LIMIT $1`,
};

const REPLAY = {
  name: 'outbox-replay',
  text: `UPDATE outbox SET state = 'waiting', attempt = 0, reason = NULL, runner = NULL, not_before = now()
    WHERE id = $1 AND state = 'dead' RETURNING queue, lane`,
};

const COUNTS = {
  name: 'outbox-counts',
  text: `SELECT queue, state, count(*)::int AS jobs, extract(epoch FROM now() - min(created_at))::float AS oldest_seconds
    FROM outbox GROUP BY queue, state`,
};
