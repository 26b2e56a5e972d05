import type { Sql } from '../../database/database.ts';
import { AUDIT_COLUMNS, type StoredAuditRow, toAuditRow } from './audit-event.store.ts';
import type { AuditRow } from './audit-row.ts';

/** Rows that are in memory at once. */
export const EXPORT_ROWS = 200;

export interface Exported {
  readonly segment: number;
  /** The last row that the target surely has; 0: none. */
  readonly seq: number;
}

/** Chains with rows behind what the target has. */
export async function chainsToExport(sql: Sql, target: string): Promise<Exported[]> {
  const rows = await sql.run<{ segment: number; seq: string }>(
    {
      text: `SELECT s.id AS segment, coalesce(x.seq, 0) AS seq FROM audit_segment s
        LEFT JOIN audit_export x ON x.segment = s.id AND x.target = $1
        WHERE EXISTS (SELECT 1 FROM audit_event e WHERE e.segment = s.id AND e.seq > coalesce(x.seq, 0)) ORDER BY s.id`,
    },
    [target],
  );
  return rows.map(({ segment, seq }) => ({ segment, seq: Number(seq) }));
}

export async function rowsToExport(sql: Sql, { segment, seq }: Exported): Promise<AuditRow[]> {
  const text = `SELECT ${AUDIT_COLUMNS} FROM audit_event WHERE segment = $1 AND seq > $2 ORDER BY seq LIMIT ${EXPORT_ROWS}`;
  return (await sql.run<StoredAuditRow>({ text }, [segment, seq])).map(toAuditRow);
}

export async function keepExported(sql: Sql, target: string, { segment, seq }: Exported): Promise<void> {
  await sql.run(
    {
      text: `INSERT INTO audit_export (target, segment, seq) VALUES ($1, $2, $3)
        ON CONFLICT (target, segment) DO UPDATE SET seq = greatest(audit_export.seq, excluded.seq)`,
    },
    [target, segment, seq],
  );
}
