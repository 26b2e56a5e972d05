import type { Sql, Statement } from '../../database/database.ts';
import { AUDIT_COLUMNS, type StoredAuditRow, toAuditRow } from './audit-event.store.ts';
import type { AuditRow } from './audit-row.ts';

/** Rows that are held in memory at once. */
export const VERIFY_PAGE_ROWS = 5_000;

/** All chains that are known of, or that have rows. */
export async function allSegments(sql: Sql): Promise<number[]> {
  const rows = await sql.run<{ id: number }>({
    text: `WITH RECURSIVE s AS (
        (SELECT segment FROM audit_event ORDER BY segment LIMIT 1)
        UNION ALL SELECT (SELECT e.segment FROM audit_event e WHERE e.segment > s.segment ORDER BY e.segment LIMIT 1) FROM s WHERE s.segment IS NOT NULL
      ) SELECT id FROM audit_segment UNION SELECT segment FROM s WHERE segment IS NOT NULL ORDER BY 1`,
  });
  return rows.map(({ id }) => id);
}

/** Rows of one chain, in its order, a page at a time. */
export async function* rowsOfSegment(sql: Sql, segment: number): AsyncGenerator<readonly AuditRow[]> {
  let after = 0;
  for (;;) {
    const rows = (await sql.run<StoredAuditRow>(PAGE, [segment, after, VERIFY_PAGE_ROWS])).map(toAuditRow);
    if (rows.length > 0) yield rows;
    if (rows.length < VERIFY_PAGE_ROWS) return;
    after = rows.at(-1)?.seq ?? after;
  }
}

const PAGE: Statement = {
  text: `SELECT ${AUDIT_COLUMNS} FROM audit_event WHERE segment = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
};

/** Signed statements of where chains begin after older rows were removed, oldest first. */
export async function prunedStatements(sql: Sql): Promise<string[]> {
  const rows = await sql.run<{ jws: string }>({ text: 'SELECT jws FROM audit_pruned ORDER BY number' });
  return rows.map(({ jws }) => jws);
}
