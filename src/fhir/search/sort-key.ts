import { badParameter } from '../at-parameter.ts';
import type { Build } from './build-filter.ts';
import type { SearchTable } from './exists-in.ts';
import { isMainDate } from './main-date.ts';
import { sources } from './parameter-sources.ts';
import { searchParametersOf } from './search-parameters.ts';
import type { SortRule } from './search-query.ts';

/** What rows `r` of one type are sorted by under one rule. */
export interface SortKey {
  readonly descending: boolean;
  /** An expression on the row `r`; NULL when the element is missing. Its values are bound when it is asked for. */
  sql(build: Build): string;
  readonly cast: KeyCast;
  readonly nullable: boolean;
  /** What has the order of this key in an index; null: nothing. */
  readonly walk: Walk | null;
}

/** A column of the row itself, of one value; or a table of the search index. */
export type Walk = { readonly table: null; readonly column: string } | TableWalk;

export interface TableWalk {
  readonly table: SearchTable;
  readonly column: 'lo' | 'value';
  /** What tells the values of one resource apart, `column` first: all in the index, so that the walk need not look into the table. */
  readonly order: readonly string[];
  readonly code: string;
}

export type KeyCast = 'text' | 'timestamptz' | 'numeric';

/**
 * R4 search.html#sort. A resource with several values is sorted by the smallest, descending by the greatest; a period and a range by where they
 * begin; a code by the code alone. Those without the element come last in both directions.
 */
export function sortKey({ code, descending }: SortRule, type: string): SortKey {
  const column = COLUMN_KEYS[code];
  if (column && Object.hasOwn(COLUMN_KEYS, code))
    return { descending, nullable: false, walk: null, sql: () => column.sql, cast: column.cast };
  const parameter = searchParametersOf(type).get(code);
  const from = parameter ? sources(parameter) : [];
  const kind = from[0]?.source.kind ?? 'token';
  const best = descending ? 'max' : 'min';
  const table = TABLES[kind];
  if (!table) {
    const mark = kind === 'token' ? '#' : '>';
    const heads = from.map(
      ({ source, targetType }) => `${type}.${source.code}${mark}${targetType ? `${targetType}/` : ''}`,
    );
    const sql = (
      build: Build,
    ): string => `(SELECT ${best}(substr(entry, length(head) + 1)) FROM unnest(r.tokens) entry
      JOIN unnest(${build.parameters.add(heads, 'text[]')}) head ON starts_with(entry, head))`;
    return { descending, sql, cast: 'text', nullable: true, walk: null };
  }
  if (isMainDate(type, code))
    return {
      descending,
      nullable: true,
      sql: () => MAIN_DATE,
      cast: table.cast,
      walk: { table: null, column: MAIN_DATE },
    };
  const codes = from.map(({ source }) => source.code);
  const only = codes.length === 1 ? codes[0] : undefined;
  return {
    descending,
    sql: ({ parameters }) =>
      `(SELECT ${best}(s.${table.column}) FROM ${table.table} s
      WHERE s.type = ${parameters.name(type)} AND s.id = r.id AND s.param IN (${codes.map((one) => parameters.name(one)).join(', ')}))`,
    cast: table.cast,
    nullable: true,
    walk: only === undefined || !table.order ? null : { ...table, order: table.order, code: only },
  };
}

const MAIN_DATE = 'r.main_date';

const COLUMN_KEYS: Readonly<Record<string, { sql: string; cast: KeyCast }>> = {
  _id: { sql: 'r.id', cast: 'text' },
  _lastUpdated: { sql: 'r.last_updated', cast: 'timestamptz' },
};

interface KeyTable {
  readonly table: SearchTable;
  readonly column: 'lo' | 'value' | 'canonical_lo';
  readonly cast: KeyCast;
}

const TABLES: Readonly<
  Record<
    string,
    | (KeyTable & { order?: undefined })
    | (KeyTable & { column: 'lo' | 'value'; order: readonly string[] })
    | undefined
  >
> = {
  date: { table: 'search_date', column: 'lo', order: ['lo', 'hi'], cast: 'timestamptz' },
  string: { table: 'search_string', column: 'value', order: ['value'], cast: 'text' },
  number: { table: 'search_number', column: 'lo', order: ['lo', 'hi'], cast: 'numeric' },
  // In base units, so that grams and milligrams sort together. Its index goes by unit first: no order to walk.
  quantity: { table: 'search_quantity', column: 'canonical_lo', cast: 'numeric' },
};

/** The key `column` as text for `cursorKey`. An instant as its seconds: of all the rows one is needed, and to print it as a date is a fifth of the search. */
export const printedKey = (column: string, cast: KeyCast): string =>
  cast === 'timestamptz' ? `extract(epoch FROM ${column})::text` : `${column}::text`;

/** What `printedKey` gave, as text that `checkKey` takes back: an instant in UTC to the microsecond, whatever the session's zone. */
export function cursorKey(printed: string | null, cast: KeyCast): string | null {
  const [, minus, whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(printed ?? '') ?? [];
  if (cast !== 'timestamptz' || printed === null) return printed;
  if (whole === '') return printed.toLowerCase();
  const microseconds = BigInt(`${minus}${whole}${fraction.padEnd(6, '0')}`);
  const rest = ((microseconds % 1_000n) + 1_000n) % 1_000n;
  const instant = new Date(Number((microseconds - rest) / 1_000n)).toISOString();
  return `${instant.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}

/** A cursor may have been changed by hand. Throws `fhir.invalid` for a key that PostgreSQL would not read. */
export function checkKey(value: string, cast: KeyCast): string {
  const fits =
    cast === 'text' ||
    (cast === 'numeric'
      ? /^(-?Infinity|-?\d{1,100}(\.\d{1,100})?)$/.test(value)
      : /^-?infinity$/.test(value) || isInstant(value));
  if (!fits) throw badParameter('_cursor', 'The page link is damaged; start the search again.');
  return value;
}

function isInstant(value: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value)) return false;
  const milliseconds = `${value.slice(0, -4)}Z`;
  const instant = new Date(milliseconds);
  // Date rolls 30 February over into March: such a day does not exist.
  return !Number.isNaN(instant.getTime()) && instant.toISOString() === milliseconds;
}
