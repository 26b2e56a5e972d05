import type { Sql } from '../database/database.ts';
import type { Job } from './job.ts';
import type { OfferedJob } from './outbox.ts';
import { PRESENCE_LOCK } from './presence.ts';

interface Row {
  id: string;
  queue: string;
  payload: Record<string, unknown>;
  lane: string | null;
  attempt: number;
  created_at: Date;
}

/** Claims up to `count` due rows of a queue for a runner; of each lane only its head. */
export async function claimNext(sql: Sql, queue: string, count: number, runner: number): Promise<Job[]> {
  return (await sql.run<Row>(CLAIM_NEXT, [queue, count, runner])).map(toJob);
}

/** Claims one row by its id, if it still waits, is due, and heads its lane. */
export async function claimOne(sql: Sql, id: string, runner: number): Promise<Job | null> {
  const [row] = await sql.run<Row>(CLAIM_ONE, [id, runner]);
  return row ? toJob(row) : null;
}

/** Rows whose runner is gone wait again. Gives how many. */
export async function releaseOrphans(sql: Sql): Promise<number> {
  return (await sql.run(RELEASE_ORPHANS, [PRESENCE_LOCK])).length;
}

/** Rows that wait now or within `withinMs`, lane heads only, in the order in which they should run. */
export async function waitingRows(sql: Sql, queues: readonly string[], withinMs: number, limit: number): Promise<OfferedJob[]> {
  const rows = await sql.run<Row & { not_before: Date }>(WAITING, [queues, withinMs, limit]);
  return rows.map((row) => ({ id: row.id, queue: row.queue, lane: row.lane, notBefore: row.not_before }));
}

/** Milliseconds until the next row of these queues is due, or null. Zero or less: due now. */
export async function nextDueMs(sql: Sql, queues: readonly string[]): Promise<number | null> {
  const [row] = await sql.run<{ ms: number | null }>(NEXT_DUE, [queues]);
  return row?.ms ?? null;
}

const toJob = (row: Row): Job => ({
  id: row.id,
  queue: row.queue,
  payload: row.payload,
  lane: row.lane,
  attempt: row.attempt,
  createdAt: row.created_at,
});

const HEADS_ITS_LANE = `(o.lane IS NULL OR NOT EXISTS (
  SELECT 1 FROM outbox e WHERE e.lane = o.lane AND e.state <> 'dead' AND e.id < o.id))`;

const TAKE = `state = 'running', again = false, attempt = attempt + 1, started_at = now()`;

const RETURN = 'RETURNING id, queue, payload, lane, attempt, created_at';

const CLAIM_NEXT = {
  name: 'outbox-claim-next',
  text: `UPDATE outbox SET ${TAKE}, runner = $3 WHERE id IN (
      SELECT o.id FROM outbox o
      WHERE o.queue = $1 AND o.state = 'waiting' AND o.not_before <= now() AND ${HEADS_ITS_LANE}
      ORDER BY o.priority, o.id LIMIT $2 FOR UPDATE SKIP LOCKED)
    ${RETURN}`,
};

const CLAIM_ONE = {
  name: 'outbox-claim-one',
  text: `UPDATE outbox SET ${TAKE}, runner = $2 WHERE id = (
      SELECT o.id FROM outbox o
      WHERE o.id = $1 AND o.state = 'waiting' AND o.not_before <= now() AND ${HEADS_ITS_LANE}
      FOR UPDATE SKIP LOCKED)
    ${RETURN}`,
};

/** Presence locks stand in pg_locks with our class and the runner's number (objsubid 2: two-key locks). */
const RELEASE_ORPHANS = {
  name: 'outbox-release-orphans',
  text: `UPDATE outbox SET state = 'waiting', runner = NULL WHERE state = 'running' AND runner NOT IN (
      SELECT objid::bigint::int FROM pg_locks
      WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    RETURNING id`,
};

const WAITING = {
  name: 'outbox-waiting',
  text: `SELECT id, queue, lane, not_before FROM outbox o
    WHERE queue = ANY($1) AND state = 'waiting' AND not_before <= now() + $2::float * interval '1 millisecond' AND ${HEADS_ITS_LANE}
    ORDER BY priority, id LIMIT $3`,
};

const NEXT_DUE = {
  name: 'outbox-next-due',
  text: `SELECT extract(epoch FROM min(not_before) - now())::float * 1000 AS ms FROM outbox o
    WHERE queue = ANY($1) AND state = 'waiting' AND ${HEADS_ITS_LANE}`,
};
