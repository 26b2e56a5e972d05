import type { Database } from '../database/database.ts';
import type { Clock } from '../kernel/clock.ts';
import { keepStatement, lastRowsBefore, removeRowsTo } from './audit/audit-prune.store.ts';
import { type AuditKey, sign } from './audit-heads.ts';

/**
 * Removes rows that are older than `keptDays`, from the beginning of each chain, and keeps a signed statement of where the chains begin now, so that
 * what is left can still be checked. Needs the owner of the tables. Gives the number of rows.
 */
export async function pruneAudit(
  database: Database,
  key: AuditKey,
  clock: Clock,
  keptDays: number,
): Promise<number> {
  const now = clock.now();
  const before = new Date(now.getTime() - keptDays * 86_400_000);
  const segments = await lastRowsBefore(database, before);
  if (segments.length === 0) return 0;
  const jws = await sign(key, { what: 'pruned', at: now.toISOString(), segments });
  return database.transaction(async (tx) => {
    await keepStatement(tx, now, jws);
    return removeRowsTo(tx, segments);
  });
}
