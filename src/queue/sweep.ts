import type { Database } from '../database/database.ts';
import { releaseOrphans } from './claim.ts';
import { BY_INDEX } from './plan-by-index.ts';

/** Lanes without a head come from deleting rows by hand only, and looking for them costs a look at every lane. */
const FORSAKEN_LOOK_MS = 60_000;

/** The safety net: rows whose process died wait again, lanes whose head was deleted go on. */
export class Sweep {
  private lookAt = 0;

  constructor(private readonly database: Database) {}

  async run(): Promise<void> {
    await releaseOrphans(this.database);
    // The clock of the day may be set back: then it would not look for as long.
    if (performance.now() < this.lookAt) return;
    this.lookAt = performance.now() + FORSAKEN_LOOK_MS;
    await promoteForsaken(this.database);
  }
}

/** Lanes whose head somebody deleted by hand get a new one. Gives how many. */
export async function promoteForsaken(database: Database): Promise<number> {
  return database.transaction(async (tx) => {
    await tx.run(BY_INDEX);
    return (await tx.run(PROMOTE_FORSAKEN)).length;
  });
}

/**
 * From lane to lane by the index of held rows, with one look for the head of each: 5,000 lanes of a backlog of 100,000 take a tenth of a second whatever the
 * planner knows. Joining all held rows to all heads took minutes when it had not heard of them yet, which is when a backlog has just grown. The list of ids and `IS TRUE`
 * leave it one way to find the rows that are changed.
 */
const PROMOTE_FORSAKEN = {
  name: 'outbox-promote-forsaken',
  text: `WITH RECURSIVE lanes AS (
      (SELECT lane, id FROM outbox WHERE state = 'held' ORDER BY lane, id LIMIT 1)
      UNION ALL
      SELECT n.lane, n.id FROM lanes l CROSS JOIN LATERAL (
        SELECT lane, id FROM outbox WHERE state = 'held' AND lane > l.lane ORDER BY lane, id LIMIT 1) AS n)
    UPDATE outbox SET state = 'waiting' WHERE (state = 'held') IS TRUE AND id = ANY(ARRAY(
      SELECT l.id FROM lanes l WHERE (SELECT h.id FROM outbox h WHERE h.lane = l.lane AND h.state IN ('waiting', 'running') LIMIT 1) IS NULL))
    RETURNING id`,
};
