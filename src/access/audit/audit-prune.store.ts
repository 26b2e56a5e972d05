import type { Sql, Transaction } from '../../database/database.ts';
import type { ChainHead } from './audit-event.store.ts';

/** Of each chain the last row that is older. Time never goes back within a chain, so all before it are older too. */
export async function lastRowsBefore(sql: Sql, before: Date): Promise<ChainHead[]> {
  const rows = await sql.run<{ segment: number; seq: string; hash: string }>(
    {
      text: `SELECT s.id AS segment, e.seq, encode(e.hash, 'hex') AS hash FROM audit_segment s
        CROSS JOIN LATERAL (SELECT seq, hash FROM audit_event WHERE segment = s.id AND at < $1 ORDER BY seq DESC LIMIT 1) e ORDER BY s.id`,
    },
    [before],
  );
  return rows.map(({ segment, seq, hash }) => ({ segment, seq: Number(seq), hash }));
}

export async function keepStatement(tx: Transaction, at: Date, jws: string): Promise<void> {
  await tx.run({ text: 'INSERT INTO audit_pruned (at, jws) VALUES ($1, $2)' }, [at, jws]);
}

/** The trigger lets the owner remove rows in a transaction that says so. */
export async function removeRowsTo(tx: Transaction, heads: readonly ChainHead[]): Promise<number> {
  await tx.run({ text: `SELECT set_config('prelim.audit_prune', 'on', true)` });
  await tx.run({ text: 'SET LOCAL statement_timeout = 0' });
  const rows = await tx.run<{ removed: string }>(
    {
      text: `WITH gone AS (
          DELETE FROM audit_event e USING unnest($1::int[], $2::bigint[]) AS w(segment, seq)
          WHERE e.segment = w.segment AND e.seq <= w.seq RETURNING 1
        ) SELECT count(*) AS removed FROM gone`,
    },
    [heads.map(({ segment }) => segment), heads.map(({ seq }) => seq)],
  );
  return Number(rows[0]?.removed ?? 0);
}
