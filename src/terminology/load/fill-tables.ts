import type { Client } from 'pg';
import { Failure } from '../../kernel/errors.ts';
import { IMPORT_TABLES } from '../systems/import-tables.ts';
import { CopyRows } from './copy-rows.ts';
import { Hierarchy } from './hierarchy.ts';
import { readCursor } from './read-cursor.ts';
import type { ImportProgress, SystemDescription } from './staging.ts';
import { WordLists } from './word-lists.ts';

/** Longer values of a property are kept and shown; they are not in the index, whose entries end at 2,700 bytes. */
export const INDEXED_VALUE_CHARACTERS_MAX = 200;

/**
 * From the staging tables to a partition of each table, in four steps: number the concepts in the order in which they are shown (active ones
 * first, then short names before long ones: what a search shows first), work out who stands above whom, write the concepts and
 * the lists by which they are found, index and attach.
 */
export async function fillTables(
  client: Client,
  description: SystemDescription,
  progress: ImportProgress,
): Promise<{ concepts: number; unknownParents: number }> {
  progress('numbering', 0);
  const concepts = await numberConcepts(client);
  const system = await replaceSystem(client, description, concepts);
  progress('hierarchy', 0);
  const { hierarchy, unknownParents } = await readHierarchy(client, concepts);
  const lists = new CopyRows(client, `terminology_list_${system}`, ['system', 'kind', 'term', 'ids']);
  for (const [id, ids] of hierarchy.children()) await lists.add(system, 'c', String(id), ids.toBuffer());
  for (const [id, ids] of hierarchy.descendants()) await lists.add(system, 'd', String(id), ids.toBuffer());
  const words = await writeConcepts(client, system, hierarchy, progress);
  for (const [kind, term, ids] of words.lists()) await lists.add(system, kind, term, ids);
  await lists.flush();
  progress('properties', concepts);
  await client.query(COPY_PROPERTIES(system));
  await client.query(COPY_DESIGNATIONS(system));
  progress('indexing', concepts);
  await client.query(INDEXES(system, description.caseSensitive));
  for (const table of IMPORT_TABLES)
    await client.query(`ALTER TABLE ${table} ATTACH PARTITION ${table}_${system} FOR VALUES IN (${system})`);
  return { concepts, unknownParents };
}

async function numberConcepts(client: Client): Promise<number> {
  await client.query(NUMBER);
  const { rows } = await client.query<{ concepts: number; codes: number; empty: number }>(COUNT);
  const { concepts = 0, codes = 0, empty = 0 } = rows[0] ?? {};
  if (codes < concepts)
    throw new Failure(
      'terminology.import',
      `${concepts - codes} codes stand in the file more than once. Correct the file.`,
    );
  if (empty > 0) throw new Failure('terminology.import', `${empty} concepts have no code. Correct the file.`);
  return concepts;
}

/** A new number for the system and empty tables; those of the same version go. */
async function replaceSystem(
  client: Client,
  { url, version, caseSensitive, properties }: SystemDescription,
  concepts: number,
): Promise<number> {
  const old = await client.query<{ id: number }>(
    'DELETE FROM terminology_system WHERE url = $1 AND version = $2 RETURNING id',
    [url, version],
  );
  for (const { id } of old.rows)
    for (const table of IMPORT_TABLES) await client.query(`DROP TABLE ${table}_${Number(id)}`);
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO terminology_system (url, version, concepts, case_sensitive, properties)
      VALUES ($1, $2, $3, $4, $5) RETURNING id`,
    [url, version, concepts, caseSensitive, JSON.stringify(properties)],
  );
  const system = Number(rows[0]?.id);
  for (const table of IMPORT_TABLES)
    await client.query(`
      CREATE TABLE ${table}_${system} (LIKE ${table} INCLUDING STORAGE);
      ALTER TABLE ${table}_${system} ADD CHECK (system = ${system});
    `);
  return system;
}

async function readHierarchy(
  client: Client,
  concepts: number,
): Promise<{ hierarchy: Hierarchy; unknownParents: number }> {
  await client.query(RESOLVE);
  const { rows } = await client.query<{ pairs: number; unknown: number }>(COUNT_EDGES);
  const { pairs = 0, unknown = 0 } = rows[0] ?? {};
  const children = new Int32Array(pairs);
  const parents = new Int32Array(pairs);
  let at = 0;
  for await (const row of readCursor<{ child: number; parent: number }>(client, EDGES)) {
    children[at] = row.child;
    parents[at++] = row.parent;
  }
  return { hierarchy: new Hierarchy(concepts, children, parents), unknownParents: unknown };
}

interface NumberedRow {
  readonly id: number;
  readonly code: string;
  readonly display: string;
  readonly definition: string | null;
  readonly inactive: boolean;
  readonly abstract: boolean;
  readonly names: string | null;
}

/** One pass in the order of numbers writes the concepts and collects the lists by words. */
async function writeConcepts(
  client: Client,
  system: number,
  hierarchy: Hierarchy,
  progress: ImportProgress,
): Promise<WordLists> {
  const words = new WordLists();
  const table = new CopyRows(client, `terminology_concept_${system}`, CONCEPT_COLUMNS);
  for await (const row of readCursor<NumberedRow>(client, NUMBERED)) {
    const { id, code, display, definition, inactive, abstract, names } = row;
    const [parents, ancestors] = [hierarchy.parents(id), hierarchy.ancestors(id)];
    await table.add(system, id, code, display, definition, inactive, abstract, parents, ancestors);
    words.add(row, names === null ? display : `${display} ${names}`);
    progress('writing', id + 1);
  }
  await table.flush();
  return words;
}

const CONCEPT_COLUMNS = [
  'system',
  'id',
  'code',
  'display',
  'definition',
  'inactive',
  'abstract',
  'parents',
  'ancestors',
] as const;

/** Sorted by bytes (collation C): the same numbers on every machine. */
const NUMBER = `
  CREATE TEMPORARY TABLE stage_numbered ON COMMIT DROP AS
    SELECT (row_number() OVER (ORDER BY inactive, length(display), display COLLATE "C", code) - 1)::integer AS id, *
    FROM stage_concept;
  CREATE INDEX ON stage_numbered (code);
  ANALYZE stage_numbered;
`;
const COUNT = `SELECT count(*)::integer AS concepts, count(DISTINCT code)::integer AS codes,
  (count(*) FILTER (WHERE code = ''))::integer AS empty FROM stage_numbered`;
const RESOLVE = `
  CREATE TEMPORARY TABLE stage_edge ON COMMIT DROP AS
    SELECT child.id AS child, parent.id AS parent FROM (SELECT DISTINCT child, parent FROM stage_parent) edge
      JOIN stage_numbered child ON child.code = edge.child LEFT JOIN stage_numbered parent ON parent.code = edge.parent
      WHERE edge.child <> edge.parent`;
const COUNT_EDGES = `SELECT count(parent)::integer AS pairs, (count(*) - count(parent))::integer AS unknown FROM stage_edge`;
const EDGES = 'SELECT child, parent FROM stage_edge WHERE parent IS NOT NULL ORDER BY child, parent';
const NUMBERED = `
  SELECT numbered.id, numbered.code, numbered.display, numbered.definition, numbered.inactive, numbered.abstract, names
  FROM stage_numbered numbered
    LEFT JOIN (SELECT code, string_agg(value, ' ') AS names FROM stage_designation GROUP BY code) other USING (code)
  ORDER BY numbered.id`;

const COPY_PROPERTIES = (system: number): string => `
  INSERT INTO terminology_property_${system} (system, concept, property, value)
    SELECT ${system}, id, property, value FROM stage_property JOIN stage_numbered USING (code)`;
const COPY_DESIGNATIONS = (system: number): string => `
  INSERT INTO terminology_designation_${system} (system, concept, language, use_system, use_code, use_display, value)
    SELECT ${system}, id, language, use_system, use_code, use_display, value
    FROM stage_designation JOIN stage_numbered USING (code) ORDER BY id`;

const INDEXES = (system: number, caseSensitive: boolean): string => `
  ALTER TABLE terminology_concept_${system} ADD PRIMARY KEY (id);
  CREATE UNIQUE INDEX ON terminology_concept_${system} (code);
  ${caseSensitive ? '' : `CREATE INDEX ON terminology_concept_${system} (lower(code));`}
  CREATE INDEX ON terminology_property_${system} (concept);
  CREATE INDEX ON terminology_property_${system} (property, value, concept)
    WHERE length(value) <= ${INDEXED_VALUE_CHARACTERS_MAX};
  CREATE INDEX ON terminology_designation_${system} (concept);
  ALTER TABLE terminology_list_${system} ADD PRIMARY KEY (kind, term);
  ANALYZE terminology_concept_${system}, terminology_property_${system}, terminology_designation_${system},
    terminology_list_${system};
`;
