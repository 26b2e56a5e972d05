import type { Transaction } from '../database/database.ts';

/** Until the end of the transaction nobody else writes a row of this lane or ends its head: rows get their numbers in the order of their commits. */
export async function lockLane(tx: Transaction, lane: string): Promise<void> {
  await tx.run(LOCK_LANE, [lane]);
}

/** The same on the way to the next statement. */
export async function lockLaneFirst(tx: Transaction, lane: string): Promise<void> {
  if (tx.later) tx.later(LOCK_LANE, [lane]);
  else await tx.run(LOCK_LANE, [lane]);
}

const LOCK_LANE = {
  name: 'outbox-lock-lane',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 7263))',
};
