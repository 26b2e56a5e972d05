import type { Sql } from '../database/database.ts';
import type { Job, OfferedJob } from './job.ts';
import { PRESENCE_LOCK } from './presence.ts';

/** A row as claims give it. */
interface ClaimedRow {
  id: string;
  queue: string;
  payload: Record<string, unknown>;
  lane: string | null;
  attempt: number;
  created_at: Date;
}

/** Claims up to `count` due rows of a queue for a runner. */
export async function claimNext(sql: Sql, queue: string, count: number, runner: number): Promise<Job[]> {
  return (await sql.run<ClaimedRow>(CLAIM_NEXT, [queue, count, runner])).map(toJob);
}

/** Claims one row by its id, if it still waits and is due. */
export async function claimOne(sql: Sql, id: string, runner: number): Promise<Job | null> {
  const [row] = await sql.run<ClaimedRow>(CLAIM_ONE, [id, runner]);
  return row ? toJob(row) : null;
}

/** Rows whose runner is gone wait again. Gives how many. */
export async function releaseOrphans(sql: Sql): Promise<number> {
  return (await sql.run(RELEASE_ORPHANS, [PRESENCE_LOCK])).length;
}

/** Rows that may run now, at most `limit` of each queue, in the order in which they should run. */
export async function waitingRows(sql: Sql, queues: readonly string[], limit: number): Promise<OfferedJob[]> {
  return (await sql.run<Waiting>(WAITING, [queues, limit])).map(toOffer);
}

/** The row of a lane that may run now, or none. */
export async function headOfLane(sql: Sql, lane: string): Promise<OfferedJob[]> {
  return (await sql.run<Waiting>(HEAD, [lane])).map(toOffer);
}

/**
 * Lets the next of a lane go, when the lane has no head. In the transaction that ends the head, after `LOCK_LANE`: so that no row is
 * written as held behind a head that is just going.
 */
export async function promoteNext(sql: Sql, lane: string): Promise<void> {
  await sql.run(PROMOTE, [lane]);
}

/** Milliseconds until the next row of these queues that waits for its time is due, or null. Rows due already do not count. */
export async function nextDueMs(sql: Sql, queues: readonly string[]): Promise<number | null> {
  const [row] = await sql.run<{ ms: number | null }>(NEXT_DUE, [queues]);
  return row?.ms ?? null;
}

type Waiting = Pick<ClaimedRow, 'id' | 'queue' | 'lane' | 'attempt'> & { not_before: Date };

const toOffer = (row: Waiting): OfferedJob => ({
  id: row.id,
  queue: row.queue,
  lane: row.lane,
  notBefore: row.not_before,
  attempt: row.attempt,
});

const toJob = (row: ClaimedRow): Job => ({
  id: row.id,
  queue: row.queue,
  payload: row.payload,
  lane: row.lane,
  attempt: row.attempt,
  createdAt: row.created_at,
});

const TAKE = `state = 'running', again = false, attempt = attempt + 1, started_at = now()`;

const RETURN = 'RETURNING id, queue, payload, lane, attempt, created_at';

/**
 * The commit does not wait for the disk: a claim that a crash of the database machine undoes is a row that waits again, as it would for a process that died.
 * `set_config` with `true` holds for this transaction, which is this statement.
 */
const QUICK = `FROM (SELECT set_config('synchronous_commit', 'off', true) AS off) AS quick WHERE quick.off = 'off'`;

const CLAIM_NEXT = {
  name: 'outbox-claim-next',
  text: `UPDATE outbox SET ${TAKE}, runner = $3 ${QUICK} AND id IN (
      SELECT o.id FROM outbox o
      WHERE o.queue = $1 AND o.state = 'waiting' AND o.not_before <= now()
      ORDER BY o.priority, o.id LIMIT $2 FOR UPDATE SKIP LOCKED)
    ${RETURN}`,
};

const CLAIM_ONE = {
  name: 'outbox-claim-one',
  text: `UPDATE outbox SET ${TAKE}, runner = $2 WHERE id = (
      SELECT o.id FROM outbox o
      WHERE o.id = $1 AND o.state = 'waiting' AND o.not_before <= now()
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
  text: `SELECT o.id, o.queue, o.lane, o.not_before, o.attempt FROM unnest($1::text[]) AS q(name) CROSS JOIN LATERAL (
      SELECT id, queue, lane, not_before, attempt FROM outbox
      WHERE queue = q.name AND state = 'waiting' AND not_before <= now() ORDER BY priority, id LIMIT $2) o`,
};

const HEAD = {
  name: 'outbox-head',
  text: `SELECT id, queue, lane, not_before, attempt FROM outbox WHERE lane = $1 AND state = 'waiting' AND not_before <= now()`,
};

const PROMOTE = {
  name: 'outbox-promote',
  text: `UPDATE outbox SET state = 'waiting' WHERE id = (
      SELECT id FROM outbox WHERE lane = $1 AND state = 'held' ORDER BY id LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM outbox h WHERE h.lane = $1 AND h.state IN ('waiting', 'running'))
    RETURNING id`,
};

const NEXT_DUE = {
  name: 'outbox-next-due',
  text: `SELECT extract(epoch FROM min(not_before) - now())::float * 1000 AS ms FROM outbox
    WHERE queue = ANY($1) AND state = 'waiting' AND not_before > now()`,
};
