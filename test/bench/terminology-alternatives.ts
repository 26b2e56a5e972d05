import type pg from 'pg';
import { CopyRows } from '../../src/terminology/load/copy-rows.ts';
import { readIds } from '../../src/terminology/sets/id-list.ts';
import { percentile } from './percentile.ts';

/** Other ways to keep words and hierarchy, over the code system that was imported, by SQL alone: what the decision rests on. */
export async function compareAlternatives(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query('SELECT id FROM terminology_system ORDER BY id DESC LIMIT 1');
  const system = Number(rows[0].id);
  await client.query('SET statement_timeout = 0');
  await client.query(TABLES(system));
  await closure(client, system);
  for (const table of ['alt_text', 'alt_parent', 'alt_ancestor'])
    await client.query(`VACUUM ANALYZE ${table}`);
  const found = await client.query(
    `SELECT id FROM terminology_concept_${system} WHERE octet_length(ancestors) = 0`,
  );
  const root = Number(found.rows[0].id);
  const lines = ['\n| alternative, SQL alone | p50 ms | p99 ms | size |', '|---|---|---|---|'];
  for (const { name, size, text, values } of ALTERNATIVES) {
    const times: number[] = [];
    for (let n = 0; n < 60; n++) {
      const started = performance.now();
      await client.query(text, values(n, root));
      if (n >= 10) times.push(performance.now() - started);
    }
    const bytes = await client.query(`SELECT pg_size_pretty(${size}) AS size`);
    lines.push(
      `| ${name} | ${percentile(times, 0.5).toFixed(1)} | ${percentile(times, 0.99).toFixed(1)} | ${bytes.rows[0].size} |`,
    );
  }
  return lines;
}

const TABLES = (system: number): string => `
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
  CREATE TABLE alt_text AS SELECT id, display, to_tsvector('simple', display || ' ' || coalesce(names, '')) AS words
    FROM terminology_concept_${system} concept
    LEFT JOIN (SELECT concept, string_agg(value, ' ') AS names FROM terminology_designation_${system} GROUP BY 1) d
      ON d.concept = concept.id;
  ALTER TABLE alt_text ADD PRIMARY KEY (id);
  CREATE INDEX alt_words ON alt_text USING gin (words) WITH (fastupdate = off);
  CREATE INDEX alt_trigrams ON alt_text USING gin (lower(display) gin_trgm_ops);
  CREATE TABLE alt_parent (child integer, parent integer);
  CREATE TABLE alt_ancestor (child integer, ancestor integer);
`;

async function closure(client: pg.Client, system: number): Promise<void> {
  const parents = new CopyRows(client, 'alt_parent', ['child', 'parent']);
  const ancestors = new CopyRows(client, 'alt_ancestor', ['child', 'ancestor']);
  for (let from = 0; ; from += 20_000) {
    const { rows } = await client.query(
      `SELECT id, parents, ancestors FROM terminology_concept_${system} WHERE id >= $1 AND id < $2`,
      [from, from + 20_000],
    );
    if (rows.length === 0) break;
    for (const row of rows) {
      for (const parent of readIds(row.parents)) await parents.add(row.id, parent);
      for (const ancestor of readIds(row.ancestors)) await ancestors.add(row.id, ancestor);
    }
  }
  await parents.flush();
  await ancestors.flush();
  await client.query(`
    CREATE INDEX ON alt_parent (child, parent);
    CREATE INDEX ON alt_parent (parent, child);
    CREATE INDEX ON alt_ancestor (child, ancestor);
    CREATE INDEX ON alt_ancestor (ancestor, child);`);
}

const SEARCHES = ['lung:*', 'lun:* & nod:*', 'acute:* & lung:* & inju:*', 'a:*'];
const BELOW = `WITH RECURSIVE below(id) AS (
  SELECT child FROM alt_parent WHERE parent = $1 UNION SELECT child FROM alt_parent JOIN below ON parent = below.id)`;
const ABOVE = `WITH RECURSIVE above(id) AS (
  SELECT parent FROM alt_parent WHERE child = $1 UNION SELECT parent FROM alt_parent JOIN above ON child = above.id)`;

interface Alternative {
  readonly name: string;
  readonly size: string;
  readonly text: string;
  values(n: number, root: number): unknown[];
}

const some = (n: number) => [Math.imul(n + 1, 7_919) % 400_000];

const ALTERNATIVES: readonly Alternative[] = [
  ...SEARCHES.map((search) => ({
    name: `tsvector: ${search.replaceAll('|', '')}, first 20 and total`,
    size: `pg_relation_size('alt_words')`,
    text: `SELECT id, display, count(*) OVER () AS total FROM alt_text WHERE words @@ $1::tsquery ORDER BY id LIMIT 20`,
    values: () => [search],
  })),
  {
    name: 'trigrams: lung + nod, first 20 and total',
    size: `pg_relation_size('alt_trigrams')`,
    text: `SELECT id, display, count(*) OVER () AS total FROM alt_text
      WHERE lower(display) LIKE '%lung%' AND lower(display) LIKE '%nod%' ORDER BY id LIMIT 20`,
    values: () => [],
  },
  {
    name: 'closure table: does a subsume b',
    size: `pg_total_relation_size('alt_ancestor')`,
    text: 'SELECT EXISTS (SELECT 1 FROM alt_ancestor WHERE child = $1 AND ancestor = $1 - 1)',
    values: some,
  },
  {
    name: 'closure table: all under the root, counted',
    size: `pg_total_relation_size('alt_ancestor')`,
    text: 'SELECT count(*) FROM alt_ancestor WHERE ancestor = $1',
    values: (_n, root) => [root],
  },
  {
    name: 'closure table: all under the root, as numbers',
    size: `pg_total_relation_size('alt_ancestor')`,
    text: 'SELECT array_agg(child) FROM alt_ancestor WHERE ancestor = $1',
    values: (_n, root) => [root],
  },
  {
    name: 'recursive: does a subsume b',
    size: `pg_total_relation_size('alt_parent')`,
    text: `${ABOVE} SELECT EXISTS (SELECT 1 FROM above WHERE id = $1 - 1)`,
    values: some,
  },
  {
    name: 'recursive: all under the root',
    size: `pg_total_relation_size('alt_parent')`,
    text: `${BELOW} SELECT count(*) FROM below`,
    values: (_n, root) => [root],
  },
];
