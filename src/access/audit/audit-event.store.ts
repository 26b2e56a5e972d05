import type { Sql, Statement, Transaction } from '../../database/database.ts';
import type { AuditRow } from './audit-row.ts';

/** Longer than any commit takes; a table that is locked longer keeps the answers back (503). */
export const AUDIT_WRITE_MS_MAX = 5_000;

export const AUDIT_COLUMNS = 'segment, seq, at, prev, hash, keys, content';

const INSERT: Statement = {
  name: 'audit-insert',
  text: `INSERT INTO audit_event (${AUDIT_COLUMNS})
    VALUES ($1::int, $2::bigint, $3::timestamptz, $4::bytea, $5::bytea, $6::int[], $7::text)`,
};

const INSERT_IN_TIME: Statement = { ...INSERT, timeoutMs: AUDIT_WRITE_MS_MAX };

const valuesOf = ({ segment, seq, at, prev, hash, keys, content }: AuditRow): unknown[] => [
  segment,
  seq,
  at.toISOString(),
  prev,
  hash,
  `{${keys.join(',')}}`,
  content,
];

/** Adds a row in a statement of its own, which waits for the disk. */
export async function insertRow(sql: Sql, row: AuditRow): Promise<void> {
  await sql.run(INSERT_IN_TIME, valuesOf(row));
}

/** Adds a row with the next statement of the transaction or its commit. */
export async function insertRowLater(tx: Transaction, row: AuditRow): Promise<void> {
  if (tx.later) tx.later(INSERT, valuesOf(row));
  else await tx.run(INSERT, valuesOf(row));
}

/** Sorts the keys that wait into the index of keys. Others go on adding rows meanwhile. */
export async function sortInKeys(sql: Sql): Promise<void> {
  await sql.run(SORT_IN);
}

const SORT_IN: Statement = { text: 'SELECT audit_sort_in()' };

/** A row as the database gives it: `bigint` comes as text. */
export type StoredAuditRow = Omit<AuditRow, 'seq'> & { readonly seq: string };

export const toAuditRow = (row: StoredAuditRow): AuditRow => ({ ...row, seq: Number(row.seq) });

/** A new chain: its number. */
export async function startSegment(
  sql: Sql,
  about: { at: Date; host: string; process: number },
): Promise<number> {
  const [row] = await sql.run<{ id: number }>(START_SEGMENT, [about.at, about.host, about.process]);
  return (row as { id: number }).id;
}

const START_SEGMENT: Statement = {
  text: 'INSERT INTO audit_segment (started_at, host, process) VALUES ($1, $2, $3) RETURNING id',
};

/** Chains that nobody has closed, oldest first, but for our own. */
export async function openSegments(sql: Sql, own: number): Promise<number[]> {
  const rows = await sql.run<{ id: number }>(OPEN_SEGMENTS, [own]);
  return rows.map(({ id }) => id);
}

const OPEN_SEGMENTS: Statement = {
  text: `SELECT s.id FROM audit_segment s WHERE s.id <> $1
    AND NOT EXISTS (SELECT 1 FROM audit_segment_end e WHERE e.segment = s.id) ORDER BY s.id`,
};

export interface SegmentEnd {
  readonly seq: number;
  /** Hex; null: it has no rows. */
  readonly hash: string | null;
  readonly missing: readonly { readonly from: number; readonly to: number }[];
}

/** Holes are looked for among the last rows only: more transactions are never open at once. */
const HOLES_LOOKED_AT = 10_000;

/** The last row of a chain, and the holes before it that it does not speak of itself. */
export async function endOfSegment(sql: Sql, segment: number): Promise<SegmentEnd> {
  const rows = await sql.run<{ seq: string; hash: Buffer; before: string | null }>(END_OF_SEGMENT, [
    segment,
    HOLES_LOOKED_AT,
  ]);
  const [last] = rows;
  if (!last) return { seq: 0, hash: null, missing: [] };
  const missing = rows
    .filter(({ seq, before }) => Number(seq) - Number(before ?? seq) > 1)
    .map(({ seq, before }) => ({ from: Number(before) + 1, to: Number(seq) - 1 }));
  return { seq: Number(last.seq), hash: last.hash.toString('hex'), missing };
}

const END_OF_SEGMENT: Statement = {
  text: `SELECT seq, hash, lag(seq) OVER (ORDER BY seq) AS before FROM
    (SELECT seq, hash FROM audit_event WHERE segment = $1 ORDER BY seq DESC LIMIT $2) t ORDER BY seq DESC`,
};

export async function markEnded(tx: Transaction, segment: number, by: AuditRow): Promise<void> {
  await tx.run(MARK_ENDED, [segment, by.segment, by.seq]);
}

const MARK_ENDED: Statement = {
  text: 'INSERT INTO audit_segment_end (segment, by_segment, by_seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
};

/** The last row of a chain that was seen. `hash` in hex. */
export interface ChainHead {
  readonly segment: number;
  readonly seq: number;
  readonly hash: string;
}

/** More chains than this are not open at once; with more the newest are signed. */
const HEADS_MAX = 24;

/** Of the newest chains that no other has closed. */
export async function headsOfOpenSegments(sql: Sql): Promise<ChainHead[]> {
  const rows = await sql.run<{ segment: number; seq: string; hash: string }>(HEADS, [HEADS_MAX]);
  return rows.map(({ segment, seq, hash }) => ({ segment, seq: Number(seq), hash }));
}

const HEADS: Statement = {
  text: `SELECT s.id AS segment, e.seq, encode(e.hash, 'hex') AS hash
    FROM (SELECT id FROM audit_segment s WHERE NOT EXISTS (SELECT 1 FROM audit_segment_end d WHERE d.segment = s.id)
      ORDER BY id DESC LIMIT $1) s
    CROSS JOIN LATERAL (SELECT seq, hash FROM audit_event WHERE segment = s.id ORDER BY seq DESC LIMIT 1) e ORDER BY s.id`,
};
