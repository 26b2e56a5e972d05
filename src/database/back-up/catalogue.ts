import type { Client } from 'pg';

/** A table with rows of its own, in an order in which what others refer to comes first. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** A partition that was made after the migrations, and what makes it again; null: a migration makes the table. */
  readonly partition: Partition | null;
}

export interface Partition {
  readonly of: string;
  /** `FOR VALUES IN (7)` */
  readonly bound: string;
  /** `CREATE INDEX …`, as PostgreSQL writes them. */
  readonly indexes: readonly string[];
}

export interface Sequence {
  readonly name: string;
  /** In decimal; null: it has given no number yet. */
  readonly last: string | null;
}

/** TypeORM's own table: the migrations fill it themselves. */
export const MIGRATIONS_TABLE = 'migrations';

export async function tablesOf(client: Client): Promise<Table[]> {
  const { rows } = await client.query<{
    name: string;
    columns: string[];
    parent: string | null;
    bound: string | null;
    indexes: string[];
    refers: string[];
  }>(TABLES);
  const tables = new Map(rows.map((row) => [row.name, row]));
  const ordered = new Map<string, Table>();
  const add = (name: string): void => {
    const row = tables.get(name);
    if (!row || ordered.has(name)) return;
    for (const other of row.refers) if (other !== name) add(other);
    const { columns, parent, bound, indexes } = row;
    const partition = parent !== null && bound !== null ? { of: parent, bound, indexes } : null;
    ordered.set(name, { name, columns, partition });
  };
  for (const name of tables.keys()) add(name);
  return [...ordered.values()];
}

export async function sequencesOf(client: Client): Promise<Sequence[]> {
  const { rows } = await client.query<Sequence>(SEQUENCES);
  return rows;
}

/** Names of the migrations that were run, oldest first; empty when there was none. */
export async function migrationsOf(client: Client): Promise<string[]> {
  const { rows } = await client.query(`SELECT to_regclass($1) IS NOT NULL AS there`, [MIGRATIONS_TABLE]);
  if (!rows[0]?.there) return [];
  const names = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY id`);
  return names.rows.map(({ name }) => name);
}

/** Indexes that no constraint stands on: `drop` and `create` them around a load, which is quicker than row by row. */
export async function looseIndexesOf(
  client: Client,
  table: string,
): Promise<{ name: string; create: string }[]> {
  const { rows } = await client.query<{ name: string; create: string }>(LOOSE_INDEXES, [table]);
  return rows;
}

const HERE = `n.nspname = current_schema()`;

const TABLES = `
  SELECT c.relname AS name,
    ARRAY(SELECT a.attname::text FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns,
    (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid) AS parent,
    pg_get_expr(c.relpartbound, c.oid) AS bound,
    ARRAY(SELECT pg_get_indexdef(x.indexrelid) FROM pg_index x WHERE x.indrelid = c.oid ORDER BY x.indexrelid) AS indexes,
    ARRAY(SELECT DISTINCT f.relname::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
      WHERE k.conrelid = c.oid AND k.contype = 'f') AS refers
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${HERE} AND c.relkind = 'r' AND c.relname <> '${MIGRATIONS_TABLE}' ORDER BY c.relname`;

const SEQUENCES = `
  SELECT sequencename AS name, last_value::text AS last FROM pg_sequences
  WHERE schemaname = current_schema() AND sequencename NOT LIKE '${MIGRATIONS_TABLE}%' ORDER BY sequencename`;

const LOOSE_INDEXES = `
  SELECT i.relname AS name, pg_get_indexdef(i.oid) AS create FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${HERE} AND c.relname = $1 AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = x.indexrelid) ORDER BY i.relname`;
