import type { Statement } from '../../database/database.ts';
import type { IndexRows } from '../search/index-rows.ts';
import { textArray } from './text-array.ts';

/**
 * The statements of a write. Rows come as one array per column, so that a report with fifteen Observations is one statement.
 * A text[] column cannot be a column of arrays (unnest would flatten it): lists come as array literals and are cast.
 *
 * A part of a statement costs even when it has no rows: so there is one statement for each set of kinds that has any, named after it.
 *
 * One resource alone comes as plain values, and the first list of several as `(SELECT $1)`: of a list that it does not look into PostgreSQL
 * assumes ten rows; if it could look, it would find a plan for the very values cheaper than one for all, and plan each time anew, which costs as
 * much as the update itself.
 */

/** Locks the rows that will change, always in the same order, so that two writes cannot wait for each other. */
export const LOCK_TEXT = `
  SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.content, r.search_digest
  FROM resource r JOIN unnest((SELECT $1::text[]), $2::text[]) AS w(type, id) ON r.type = w.type AND r.id = w.id`;
export const LOCK_ORDER = ' ORDER BY r.type, r.id FOR UPDATE OF r';
/** The same for one row. */
export const LOCK_ONE: Statement = {
  name: 'fhir-lock-one',
  text: `SELECT type, id, version, last_updated, deleted, method, content, search_digest
  FROM resource WHERE type = $1::text AND id = $2::text FOR UPDATE`,
};

/** Kinds of search rows, each with a table of its own. */
export type RowKind = 'dates' | 'strings' | 'numbers' | 'quantities';

/** Name in PostgreSQL, type there, name in our rows; `list`: a list in a column. */
type Column = readonly [name: string, type: string, property: string, list?: true];

interface SearchTable {
  readonly kind: RowKind;
  readonly table: string;
  /** After type, id and param. */
  readonly columns: readonly Column[];
}

const TABLES: readonly SearchTable[] = [
  {
    kind: 'dates',
    table: 'search_date',
    columns: [
      ['lo', 'timestamptz', 'lo'],
      ['hi', 'timestamptz', 'hi'],
    ],
  },
  {
    kind: 'strings',
    table: 'search_string',
    columns: [
      ['value', 'text', 'value'],
      ['exact', 'text', 'exact'],
    ],
  },
  {
    kind: 'numbers',
    table: 'search_number',
    columns: [
      ['lo', 'numeric', 'lo'],
      ['hi', 'numeric', 'hi'],
      ['within', 'text', 'within', true],
    ],
  },
  {
    kind: 'quantities',
    table: 'search_quantity',
    columns: [
      ['lo', 'numeric', 'lo'],
      ['hi', 'numeric', 'hi'],
      ['system', 'text', 'system'],
      ['code', 'text', 'code'],
      ['unit', 'text', 'unit'],
      ['canonical', 'text', 'canonical'],
      ['canonical_lo', 'numeric', 'canonicalLo'],
      ['canonical_hi', 'numeric', 'canonicalHi'],
      ['within', 'text', 'within', true],
    ],
  },
];

/** The search rows of one resource version. */
export interface Owned {
  readonly type: string;
  readonly id: string;
  readonly rows: IndexRows;
}

export interface Built {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

/** New resources: columns type, id, version, last_updated, method, content, tokens (lists), search_digest, main_date, sole_patient; and their search rows. */
export function insertOf(columns: readonly unknown[][], owned: readonly Owned[]): Built {
  return build('insert', INSERT, columns, owned);
}

/**
 * Moves the superseded versions away and writes the new ones: columns type, id, supersedes, its last_updated and search_digest, version, last_updated,
 * deleted, method, content, search_digest, main_date, sole_patient, tokens (lists). Where one is not the current version any more the statement fails (division by zero,
 * `OUTDATED_SQLSTATE`). The search rows stay as they are.
 */
export function supersedeOf(columns: readonly unknown[][]): Built {
  return build('supersede', SUPERSEDE, columns, []);
}

/** The same, with other search rows in place of those that are there. */
export function replaceOf(columns: readonly unknown[][], owned: readonly Owned[]): Built {
  return build('replace', REPLACE, columns, owned);
}

/** Other entries and search rows for versions that stay: columns type, id, tokens, search_digest, main_date, sole_patient. The rows are locked, and still those versions. */
export function reindexOf(columns: readonly unknown[][], owned: readonly Owned[]): Built {
  return build('reindex', REINDEX, columns, owned);
}

interface Frame {
  readonly columns: number;
  /** Which of them are texts of some length, from 0. */
  readonly long: readonly number[];
  /** Which of them holds lists of texts: all of them go as one list, and where each begins and ends (`first`, `last`) in two columns behind the others. */
  readonly lists?: number;
  /** What is written, as rows: from lists, and from plain values. Left out where the frame's end says it itself. */
  readonly rows?: { readonly many: string; readonly one: string };
  readonly before: readonly string[];
  readonly end: string;
}

const INSERT: Frame = {
  columns: 10,
  long: [5],
  lists: 6,
  before: [],
  end: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens, search_digest, main_date, sole_patient, sole_patient_at)
  SELECT w.type, w.id, w.version, w.last_updated, false, w.method, w.content, ($7::text[])[w.first:w.last], w.search_digest,
    w.main_date, w.sole_patient, w.version
  FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[], $6::text[], $8::bigint[], $9::timestamptz[],
      $10::text[], $11::int[], $12::int[])
    AS w(type, id, version, last_updated, method, content, search_digest, main_date, sole_patient, first, last)`,
};

const SUPERSEDE_COLUMNS = [
  ['type', 'text'],
  ['id', 'text'],
  ['supersedes', 'int'],
  ['updated_before', 'timestamptz'],
  ['digest_before', 'bigint'],
  ['version', 'int'],
  ['last_updated', 'timestamptz'],
  ['deleted', 'bool'],
  ['method', 'text'],
  ['content', 'text'],
  ['search_digest', 'bigint'],
  ['main_date', 'timestamptz'],
  ['sole_patient', 'text'],
] as const;

/** Behind the columns that hold one value each: the lists of entries, and where each begins and ends. */
const PLAIN = SUPERSEDE_COLUMNS.length;
const TOKENS = `$${PLAIN + 1}::text[]`;

const CURRENT = `r.type = w.type AND r.id = w.id AND r.version = w.supersedes AND r.last_updated = w.updated_before
    AND r.search_digest = w.digest_before`;

const SUPERSEDE: Frame = {
  columns: PLAIN + 1,
  long: [9],
  lists: PLAIN,
  rows: {
    many: `w AS (
    SELECT w.*, (${TOKENS})[w.first:w.last] AS tokens
    FROM unnest(${SUPERSEDE_COLUMNS.map(([, type], at) => (at === 0 ? `(SELECT $1::${type}[])` : `$${at + 1}::${type}[]`)).join(', ')},
        $${PLAIN + 2}::int[], $${PLAIN + 3}::int[])
      AS w(${SUPERSEDE_COLUMNS.map(([name]) => name).join(', ')}, first, last)
  )`,
    one: `w AS (
    SELECT ${SUPERSEDE_COLUMNS.map(([name, type], at) => `$${at + 1}::${type} AS ${name}`).join(', ')}, ${TOKENS} AS tokens
  )`,
  },
  before: [
    `kept AS (
    INSERT INTO resource_version (type, id, version, last_updated, deleted, method, content)
    SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.content
    FROM resource r JOIN w ON ${CURRENT}
  )`,
    `written AS (
    UPDATE resource r
    SET version = w.version, last_updated = w.last_updated, deleted = w.deleted, method = w.method, content = w.content,
        tokens = w.tokens, search_digest = w.search_digest, main_date = w.main_date, sole_patient = w.sole_patient,
        sole_patient_at = w.version
    FROM w WHERE ${CURRENT} RETURNING 1
  )`,
  ],
  end: 'SELECT 1 / (count(*) = (SELECT count(*) FROM w))::int AS all_current FROM written',
};

const REPLACE: Frame = {
  ...SUPERSEDE,
  before: [
    ...SUPERSEDE.before,
    ...TABLES.map(
      ({ kind, table }) =>
        `old_${kind} AS (DELETE FROM ${table} s USING w WHERE s.type = w.type AND s.id = w.id)`,
    ),
  ],
};

const REINDEX: Frame = {
  columns: 6,
  long: [2],
  before: [
    `w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[])
      AS w(type, id, tokens, search_digest, main_date, sole_patient)
  )`,
    ...TABLES.map(
      ({ kind, table }) =>
        `old_${kind} AS (DELETE FROM ${table} s USING w WHERE s.type = w.type AND s.id = w.id)`,
    ),
  ],
  end: `UPDATE resource r SET tokens = w.tokens::text[], search_digest = w.search_digest, main_date = w.main_date, sole_patient = w.sole_patient,
    sole_patient_at = r.version
  FROM w WHERE r.type = w.type AND r.id = w.id`,
};

const statements = new Map<string, Statement>();

function build(what: string, frame: Frame, columns: readonly unknown[][], owned: readonly Owned[]): Built {
  const tables = TABLES.filter(({ kind }) => owned.some(({ rows }) => rows[kind].length > 0));
  const alone = frame.rows !== undefined && columns[0]?.length === 1;
  const name = ['fhir', what, ...(alone ? ['one'] : []), ...tables.map(({ kind }) => kind)].join('-');
  let statement = statements.get(name);
  if (!statement) {
    statement = { name, text: textOf(frame, tables, alone) };
    statements.set(name, statement);
  }
  const rows = columns.map((column, at) => {
    if (frame.lists === at) return textArray((column as string[][]).flat());
    if (alone) return column[0];
    return frame.long.includes(at) ? textArray(column as string[]) : listLiteral(column);
  });
  const places = frame.lists === undefined || alone ? [] : placesOf(columns[frame.lists] as string[][]);
  return {
    statement,
    values: [
      ...rows,
      ...places.map(listLiteral),
      ...tables.flatMap((table) => valuesOf(table, owned).map(listLiteral)),
    ],
  };
}

/** Where each list begins and ends when they stand one behind the other; counted from 1, as PostgreSQL does. */
function placesOf(lists: readonly (readonly string[])[]): [first: number[], last: number[]] {
  const places: [number[], number[]] = [[], []];
  let end = 0;
  for (const list of lists) {
    places[0].push(end + 1);
    end += list.length;
    places[1].push(end);
  }
  return places;
}

function textOf(frame: Frame, tables: readonly SearchTable[], alone: boolean): string {
  let used = frame.columns + (frame.lists === undefined || alone ? 0 : 2);
  const inserts = tables.map(({ kind, table, columns }) => {
    const all: readonly Column[] = [
      ['type', 'text', ''],
      ['id', 'text', ''],
      ['param', 'text', ''],
      ...columns,
    ];
    const names = all.map(([name]) => name).join(', ');
    const arrays = all.map(([, type]) => `$${++used}::${type}[]`).join(', ');
    const selected = all.map(([name, , , list]) => (list ? `s.${name}::text[]` : `s.${name}`)).join(', ');
    return `${kind} AS (
    INSERT INTO ${table} (${names}) SELECT ${selected} FROM unnest(${arrays}) AS s(${names})
  )`;
  });
  const written = frame.rows === undefined ? [] : [alone ? frame.rows.one : frame.rows.many];
  const parts = [...written, ...frame.before, ...inserts];
  return `${parts.length === 0 ? '' : `WITH ${parts.join(', ')} `}${frame.end}`;
}

/** One array per column. */
function valuesOf({ kind, columns }: SearchTable, owned: readonly Owned[]): unknown[][] {
  const arrays: unknown[][] = [[], [], [], ...columns.map(() => [])];
  for (const { type, id, rows } of owned) {
    for (const row of rows[kind] as readonly object[] as readonly Readonly<Record<string, unknown>>[]) {
      arrays[0]?.push(type);
      arrays[1]?.push(id);
      arrays[2]?.push(row['param']);
      columns.forEach(([, , property, list], at) => {
        const value = row[property];
        arrays[at + 3]?.push(list && value ? arrayLiteral(value as readonly string[]) : value);
      });
    }
  }
  return arrays;
}

/** A PostgreSQL array literal: `{"a","b\"c"}`. */
export function arrayLiteral(entries: Iterable<string>): string {
  const parts: string[] = [];
  for (const entry of entries) parts.push(quoted(entry));
  return `{${parts.join(',')}}`;
}

/** The same for a column, as `pg` would print it; it looks through every text twice for what is to be escaped. */
const listLiteral = (values: readonly unknown[]): string =>
  `{${values.map((value) => (value === null || value === undefined ? 'NULL' : quoted(String(value)))).join(',')}}`;

const quoted = (text: string): string =>
  ESCAPED.test(text) ? `"${text.replace(/[\\"]/g, '\\$&')}"` : `"${text}"`;

const ESCAPED = /[\\"]/;
