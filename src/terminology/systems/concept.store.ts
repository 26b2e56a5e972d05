import type { Sql, Statement, Transaction } from '../../database/database.ts';
import { IMPORT_TABLES } from './import-tables.ts';

/** An imported code system: a row of `terminology_system`. */
export interface ImportedSystem {
  readonly id: number;
  readonly url: string;
  readonly version: string;
  readonly concepts: number;
  readonly caseSensitive: boolean;
  /** Code of each property → its type. */
  readonly properties: Readonly<Record<string, string>>;
}

export interface ConceptRow {
  readonly id: number;
  readonly code: string;
  readonly display: string;
  readonly definition: string | null;
  readonly inactive: boolean;
  readonly abstract: boolean;
  readonly parents: Buffer;
  readonly ancestors: Buffer;
}

export interface DesignationRow {
  readonly concept: number;
  readonly language: string | null;
  readonly use_system: string | null;
  readonly use_code: string | null;
  readonly use_display: string | null;
  readonly value: string;
}

export type ListKind = 'w' | 'p' | 'd' | 'c' | 's';

/** Tables `terminology_*`: the concepts of imported code systems. Who may see them was decided where their CodeSystem was found. */
export class ConceptStore {
  constructor(private readonly sql: Sql) {}

  /** The version asked for, or without one the version imported last. */
  async system(url: string, version: string | null): Promise<ImportedSystem | null> {
    const [found] = await this.sql.run<ImportedSystem>(SYSTEM, [url, version]);
    return found ?? null;
  }

  systems(): Promise<ImportedSystem[]> {
    return this.sql.run<ImportedSystem>(SYSTEMS);
  }

  byCodes(system: number, codes: readonly string[]): Promise<ConceptRow[]> {
    return this.sql.run<ConceptRow>(BY_CODES, [system, codes]);
  }

  /** For a code system in which case does not count; the codes asked for in lower case. */
  byLowerCodes(system: number, codes: readonly string[]): Promise<ConceptRow[]> {
    return this.sql.run<ConceptRow>(BY_LOWER_CODES, [system, codes]);
  }

  byIds(system: number, ids: readonly number[]): Promise<ConceptRow[]> {
    return this.sql.run<ConceptRow>(BY_IDS, [system, ids]);
  }

  designations(system: number, ids: readonly number[]): Promise<DesignationRow[]> {
    return this.sql.run<DesignationRow>(DESIGNATIONS, [system, ids]);
  }

  properties(system: number, id: number): Promise<{ property: string; value: string }[]> {
    return this.sql.run(PROPERTIES, [system, id]);
  }

  /** The lists of these terms; a term without a list has no row. */
  async lists(system: number, kind: ListKind, terms: readonly string[]): Promise<Map<string, Buffer>> {
    const rows = await this.sql.run<ListRow>(LISTS, [system, kind, terms]);
    return new Map(rows.map((row) => [row.term, row.ids]));
  }

  /** The lists of all words that begin so. */
  async listsFrom(system: number, start: string): Promise<Buffer[]> {
    const rows = await this.sql.run<ListRow>(LISTS_FROM, [system, start, `${start}\u{10ffff}`]);
    return rows.map((row) => row.ids);
  }

  /** Numbers of the concepts that have the property, with one of the values if any are given. */
  async withProperty(system: number, property: string, values: readonly string[] | null): Promise<number[]> {
    const rows =
      values === null
        ? await this.sql.run<{ ids: number[] | null }>(HAS_PROPERTY, [system, property])
        : await this.sql.run<{ ids: number[] | null }>(WITH_VALUE, [system, property, values]);
    return rows[0]?.ids ?? [];
  }

  /** Takes an imported code system out. False: there was none. */
  async remove(tx: Transaction, url: string, version: string): Promise<boolean> {
    const [found] = await tx.run<{ id: number }>(REMOVE, [url, version]);
    if (!found) return false;
    for (const table of IMPORT_TABLES) await tx.run({ text: `DROP TABLE ${table}_${Number(found.id)}` });
    return true;
  }
}

interface ListRow {
  readonly term: string;
  readonly ids: Buffer;
}

const SYSTEM_COLUMNS = `id, url, version, concepts, case_sensitive AS "caseSensitive", properties`;
const CONCEPT_COLUMNS = 'id, code, display, definition, inactive, abstract, parents, ancestors';

const SYSTEM: Statement = {
  name: 'terminology-system',
  text: `SELECT ${SYSTEM_COLUMNS} FROM terminology_system WHERE url = $1 AND ($2::text IS NULL OR version = $2)
    ORDER BY imported_at DESC, id DESC LIMIT 1`,
};
const SYSTEMS: Statement = {
  name: 'terminology-systems',
  text: `SELECT ${SYSTEM_COLUMNS} FROM terminology_system ORDER BY url, version`,
};
const BY_CODES: Statement = {
  name: 'terminology-by-codes',
  text: `SELECT ${CONCEPT_COLUMNS} FROM terminology_concept WHERE system = $1 AND code = ANY($2::text[])`,
};
const BY_LOWER_CODES: Statement = {
  name: 'terminology-by-lower-codes',
  text: `SELECT ${CONCEPT_COLUMNS} FROM terminology_concept WHERE system = $1 AND lower(code) = ANY($2::text[])`,
};
const BY_IDS: Statement = {
  name: 'terminology-by-ids',
  text: `SELECT ${CONCEPT_COLUMNS} FROM terminology_concept WHERE system = $1 AND id = ANY($2::integer[])`,
};
const DESIGNATIONS: Statement = {
  name: 'terminology-designations',
  text: `SELECT concept, language, use_system, use_code, use_display, value FROM terminology_designation
    WHERE system = $1 AND concept = ANY($2::integer[]) ORDER BY concept, language, use_code, value`,
};
const PROPERTIES: Statement = {
  name: 'terminology-properties',
  text: `SELECT property, value FROM terminology_property WHERE system = $1 AND concept = $2 ORDER BY property, value`,
};
const LISTS: Statement = {
  name: 'terminology-lists',
  text: `SELECT term, ids FROM terminology_list WHERE system = $1 AND kind = $2::"char" AND term = ANY($3::text[])`,
};
const LISTS_FROM: Statement = {
  name: 'terminology-lists-from',
  text: `SELECT term, ids FROM terminology_list WHERE system = $1 AND kind = 'w' AND term >= $2 AND term < $3`,
};
const HAS_PROPERTY: Statement = {
  name: 'terminology-has-property',
  text: `SELECT array_agg(concept) AS ids FROM terminology_property WHERE system = $1 AND property = $2`,
};
const WITH_VALUE: Statement = {
  name: 'terminology-with-value',
  text: `SELECT array_agg(concept) AS ids FROM terminology_property
    WHERE system = $1 AND property = $2 AND value = ANY($3::text[])`,
};
const REMOVE: Statement = {
  name: 'terminology-remove',
  text: 'DELETE FROM terminology_system WHERE url = $1 AND version = $2 RETURNING id',
};
