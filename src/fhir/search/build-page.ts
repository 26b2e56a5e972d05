import type { AccessContext } from '../access-context.ts';
import { type Build, newBuild } from './build-filter.ts';
import type { EntryStatistics } from './entry-statistics.ts';
import { findRows, isSelective, type Way } from './find-rows.ts';
import type { Filter, SearchQuery, TypeSearch } from './search-query.ts';
import { checkKey, printedKey, type SortKey, sortKey, type TableWalk } from './sort-key.ts';

export interface BuiltSql {
  readonly text: string;
  readonly values: readonly unknown[];
  /**
   * One plan is good for all values: the statement may be prepared. False: PostgreSQL should see the values and its statistics first.
   */
  readonly steady: boolean;
  /** What to run instead where the rows are fewer than `of` and the first says `cut`, or there are none: there may be more that this statement did not look at. */
  readonly whole?: { readonly of: number; readonly built: () => BuiltSql };
}

/**
 * What is answered of a row. The instant of the version stands in its content, and printing it costs as much as all the rest; matches are not
 * deleted; the type is known where only one is searched.
 */
const shown = ({ type }: SearchQuery): string[] => [
  ...(type === null ? ['type'] : []),
  'id',
  'version',
  'method',
  'content',
];

interface Page {
  readonly query: SearchQuery;
  readonly build: Build;
  /** The columns that every part of the page gives. What is carried is copied in the sort. */
  readonly columns: readonly string[];
  /** The WITH clause. */
  readonly sets: string[];
  /** Placeholder: one more row than asked for, so that one knows whether there is a next page. */
  readonly limit: string;
}

export interface PageOptions {
  /** Entries that begin with one of these come along in `refs`, for the includes. */
  readonly heads?: readonly string[];
  readonly statistics?: EntryStatistics | null;
}

/**
 * One page of matches and one row more, in one statement. Ordered by the sort rules and at last by type and id, which never change; pages are cut
 * by the last row's values, not by an offset, so a page costs the same wherever it lies, and a resource that keeps its sort values
 * while others come and go is on exactly one page. A row that has the same sort value twice may come twice, one after the other.
 */
export function buildPage(
  query: SearchQuery,
  access: AccessContext,
  base: string,
  options: PageOptions = {},
): BuiltSql {
  return buildInTwo(query, access, base, options) ?? buildAtOnce(query, access, base, options);
}

function buildAtOnce(
  query: SearchQuery,
  access: AccessContext,
  base: string,
  { heads = [], statistics = null }: PageOptions,
): BuiltSql {
  const build = newBuild(access, base);
  const page: Page = {
    query,
    build,
    columns: heads.length > 0 ? [...shown(query), 'tokens'] : shown(query),
    sets: [],
    limit: `(SELECT ${build.parameters.add(query.count + 1, 'int')})`,
  };
  const ways = query.searches.flatMap((search) => {
    const asked = { filters: search.filters, limit: query.count + 1, statistics };
    const found = findRows({ type: search.type, alias: 'r', base }, asked, build, page.sets);
    return found.map((way) => ({ way, search }));
  });
  const steady = ways.length === 1 && ways[0]?.way.how !== 'open';
  const parts = ways.flatMap(({ way, search }) => partsOf(way, search, page, ways.length === 1));
  const first = query.searches[0];
  const keys = first ? keysOf(query, first.type) : [];
  const rows =
    parts.length === 1
      ? String(parts[0])
      : `SELECT * FROM (${parts.map((part) => `(${part})`).join(' UNION ALL ')}) parts`;
  const sets = page.sets.length === 0 ? '' : `WITH ${page.sets.join(', ')} `;
  return {
    text: `${sets}${pageOf(rows, keys, heads, page)}`,
    values: build.parameters.values,
    steady,
  };
}

/**
 * What is worked out from a row is worked out for the rows of the page: beside the sort PostgreSQL does it for all that were found. The order is said
 * again for SQL's sake; PostgreSQL sees that the rows come in it.
 */
function pageOf(
  rows: string,
  keys: readonly SortKey[],
  heads: readonly string[],
  page: Page,
  beside: readonly string[] = [],
): string {
  const order = orderBy(keys, page.query);
  const cutRows = (columns: string): string =>
    `SELECT ${columns} FROM (${rows}) page ORDER BY ${order} LIMIT ${page.limit}`;
  const cursor = keys.map((key, at) => `${printedKey(`k${at}`, key.cast)} AS c${at}`);
  const made = [...cursor, ...refs(heads, page.build), ...beside];
  if (made.length === 0) return cutRows(shown(page.query).join(', '));
  return `SELECT ${[...shown(page.query), ...made].join(', ')} FROM (${cutRows('*')}) page ORDER BY ${order}`;
}

/** The dear condition is asked of so many rows more than are wanted, before it is asked of all: as many may be hidden on a page. */
const HIDDEN_ROWS = 8;

/**
 * The page where part of the caller's access is dear to ask of a row (`AccessContext.late`) and all rows are collected: it is asked of the first rows in the order of the page, one after the other until the
 * page is full. Only when too few of those may be seen is it asked of all, by another statement: as a part of this one that is seldom run it cost each search its preparation. null: rows are not
 * found that way, or others than the page's own enter the search.
 */
function buildInTwo(
  query: SearchQuery,
  access: AccessContext,
  base: string,
  options: PageOptions,
): BuiltSql | null {
  const { heads = [], statistics = null } = options;
  const { late } = access;
  const [search, ...others] = query.searches;
  if (!late || !search || others.length > 0 || !search.filters.every(asksRowAlone)) return null;
  // Few rows are asked sooner than the other way is prepared.
  if (search.filters.some(isSelective)) return null;
  const build = newBuild(late.before, base);
  const dear = late.condition(search.type, 'search', 'r', build.parameters);
  if (dear === null) return null;
  const limit = `(SELECT ${build.parameters.add(query.count + 1, 'int')})`;
  const many = `(SELECT ${build.parameters.add(query.count + 1 + HIDDEN_ROWS, 'int')})`;
  // The dear condition is asked of what is carried.
  const asksOf = ['type', 'version', 'tokens', 'sole_patient', 'sole_patient_at'];
  const columns = [...new Set([...shown(query), ...asksOf])];
  const page: Page = { query, build, columns, sets: [], limit };
  const asked = { filters: search.filters, limit: query.count + 1, statistics };
  const [way, ...more] = findRows({ type: search.type, alias: 'r', base }, asked, build, page.sets);
  if (way?.how !== 'collect' || more.length > 0) return null;
  const keys = keysOf(query, search.type);
  const order = orderBy(keys, query);
  const asCollected = `SELECT ${carried(keys, page)} FROM resource r WHERE ${way.gate} AND ${way.where} OFFSET 0`;
  const first = `first_rows AS MATERIALIZED (${cut(asCollected, keys, page, true)} ORDER BY ${order} LIMIT ${many})`;
  const kept = `SELECT * FROM (SELECT * FROM first_rows ORDER BY ${order} OFFSET 0) r WHERE ${dear} LIMIT ${limit}`;
  const isCut = `(SELECT count(*) FROM first_rows) = ${many} AS cut`;
  return {
    text: `WITH ${[...page.sets, first].join(', ')} ${pageOf(kept, keys, heads, page, [isCut])}`,
    values: build.parameters.values,
    steady: true,
    whole: { of: query.count + 1, built: () => buildAtOnce(query, access, base, options) },
  };
}

/** No other resource enters the condition, whose access would have to be asked in full. */
const asksRowAlone = (filter: Filter): boolean => {
  if (filter.kind === 'any') return filter.of.every(asksRowAlone);
  if (filter.kind === 'not') return asksRowAlone(filter.filter);
  return filter.kind === 'value' || filter.kind === 'present';
};

/** Column `refs`: the row's entries that begin with one of the heads. */
export function refs(heads: readonly string[], build: Build): string[] {
  if (heads.length === 0) return [];
  const all = build.parameters.add(heads, 'text[]');
  return [
    `ARRAY(SELECT entry FROM unnest(tokens) entry JOIN unnest(${all}) head ON starts_with(entry, head)) AS refs`,
  ];
}

const keysOf = (query: SearchQuery, type: string): SortKey[] => query.sort.map((rule) => sortKey(rule, type));

/** Selects that together give the first rows of the page; none gives more than the limit, but for the one that stands `alone`. */
function partsOf(way: Way, search: TypeSearch, page: Page, alone: boolean): string[] {
  const { query, build } = page;
  const { gate, how, where } = way;
  const keys = keysOf(query, search.type);
  if (how !== 'collect' && keys[0]?.walk) return walked(way, search, keys, page);
  if (how === 'walk' && keys.every(({ nullable }) => !nullable)) {
    // IS TRUE: no index can be used for it, so the rows are walked in the order of the page.
    const rows = `SELECT ${carried(keys, page)} FROM resource r WHERE r.type = ${build.parameters.name(search.type)} AND ${gate} AND (${where}) IS TRUE`;
    return [cut(rows, keys, page, alone)];
  }
  // OFFSET 0: planned by itself, as if all rows were wanted. Otherwise the limit tempts the planner to walk the whole type by id.
  const fence = how === 'collect' ? ' OFFSET 0' : '';
  return [
    cut(
      `SELECT ${carried(keys, page)} FROM resource r WHERE ${gate} AND ${where}${fence}`,
      keys,
      page,
      alone,
    ),
  ];
}

/** The columns of the row `r` and its keys, numbered from `first`. */
const carried = (keys: readonly SortKey[], { columns, build }: Page, first = 0): string =>
  [columnsOf('r', columns), ...keys.map((key, at) => `${key.sql(build)} AS k${at + first}`)].join(', ');

/** The rows after the page before; with their own order and limit where several parts come together. */
function cut(rows: string, keys: readonly SortKey[], page: Page, alone: boolean, limit = page.limit): string {
  const position = afterPosition(keys, page);
  const where = position === null ? '' : ` WHERE ${position}`;
  const end = alone ? '' : ` ORDER BY ${orderBy(keys, page.query)} LIMIT ${limit}`;
  return `SELECT * FROM (${rows}) part${where}${end}`;
}

/**
 * The first key is the order of an index: a page needs only its beginning. Those that have no value follow in a part of their own,
 * which is not run while the first one fills the page.
 */
function walked(way: Way, search: TypeSearch, keys: readonly SortKey[], page: Page): string[] {
  const { query, sets } = page;
  const [first, ...others] = keys as [SortKey, ...SortKey[]];
  const { valued, none } = first.walk?.table
    ? inTable(way, search.type, { ...first, walk: first.walk }, others, page)
    : inRow(way, search.type, first, others, page);
  if (query.after?.keys[0] === null) return [cut(none, keys, page, false)];
  const name = `walked${sets.length}`;
  sets.push(
    `${name} AS MATERIALIZED (${cut(valued, [{ ...first, nullable: false }, ...others], page, false)})`,
  );
  const left = `(SELECT ${page.limit} - count(*) FROM ${name})`;
  // Behind a row that has a value come all that have none.
  const fresh = { ...page, query: { ...query, after: null } };
  return [`SELECT * FROM ${name}`, cut(none, keys, fresh, false, left)];
}

/** Rows that have a value of the first key, in such a form that they can be had in its order; and those that have none. */
interface Walked {
  readonly valued: string;
  readonly none: string;
}

/** The key lies in the row, and in an index with the type. IS TRUE as in `partsOf`. */
function inRow(
  { gate, how, where }: Way,
  type: string,
  first: SortKey,
  others: readonly SortKey[],
  page: Page,
): Walked {
  const { build } = page;
  const column = first.sql(build);
  const given = `${column} IS NOT NULL${walkedFrom(first, column, page)}`;
  const met = how === 'walk' ? `r.type = ${build.parameters.name(type)} AND (${where}) IS TRUE` : where;
  return {
    valued: `SELECT ${carried([first, ...others], page)} FROM resource r WHERE ${gate} AND ${given} AND ${met}`,
    none: `SELECT ${carried([valueless(first), ...others], page)} FROM resource r WHERE ${gate} AND ${where} AND ${column} IS NULL`,
  };
}

/** The key lies in a table of the search index, one row per value. */
function inTable(
  { gate, how, where }: Way,
  typeName: string,
  first: SortKey & { readonly walk: TableWalk },
  others: readonly SortKey[],
  page: Page,
): Walked {
  const { build } = page;
  const { table, column, code, order } = first.walk;
  const type = build.parameters.name(typeName);
  const param = build.parameters.name(code);
  const from = `FROM ${table} s WHERE ${gate} AND s.type = ${type} AND s.param = ${param}${walkedFrom(first, `s.${column}`, page)}`;
  // Of several values only the one that counts. It stands behind the filters, which most rows fail.
  const best = `NOT EXISTS (SELECT 1 FROM ${table} o WHERE o.type = ${type} AND o.id = r.id AND o.param = ${param}
      AND ${compared('o', order)} ${first.descending ? '>' : '<'} ${compared('s', order)} OFFSET 0)`;
  const own: SortKey = { ...first, sql: () => `s.${column}` };
  return {
    valued:
      how === 'walk'
        ? // Each row of the index is looked up on its own, in the order of the index.
          `SELECT ${columnsOf('r', page.columns)}, s.${column} AS k0${others.map((_, at) => `, r.k${at + 1}`).join('')}
          FROM (SELECT s.id, ${columnsOf('s', order)} ${from} ORDER BY s.${column}${first.descending ? ' DESC' : ''}) s
          CROSS JOIN LATERAL (SELECT ${carried(others, page, 1)} FROM resource r WHERE r.id = s.id AND ${where} AND ${best} OFFSET 0) r`
        : `SELECT ${carried([own, ...others], page)} FROM resource r, LATERAL (SELECT s.id, ${columnsOf('s', order)} ${from}) s
          WHERE r.type = ${type} AND r.id = s.id AND ${where} AND ${best}`,
    none: `SELECT ${carried([valueless(first), ...others], page)} FROM resource r
    WHERE ${gate} AND ${where} AND NOT EXISTS (SELECT 1 FROM ${table} s WHERE s.type = ${type} AND s.id = r.id AND s.param = ${param})`,
  };
}

const valueless = (key: SortKey): SortKey => ({ ...key, sql: () => `NULL::${key.cast}` });

const columnsOf = (alias: string, columns: readonly string[]): string =>
  columns.map((column) => `${alias}.${column}`).join(', ');

const compared = (alias: string, columns: readonly string[]): string => `(${columnsOf(alias, columns)})`;

/** Where the walk of the index begins: the comparison with the whole position spans two tables, so no index could start from it. */
function walkedFrom(key: SortKey, column: string, { query, build }: Page): string {
  const value = query.after?.keys[0];
  if (value === undefined || value === null) return '';
  return ` AND ${column} ${key.descending ? '<=' : '>='} ${placeholder(value, key, build)}`;
}

function orderBy(keys: readonly SortKey[], query: SearchQuery): string {
  const last = keys.at(-1)?.descending ? ' DESC' : '';
  return [
    ...keys.map((key, at) => `k${at}${key.descending ? ' DESC' : ''}${key.nullable ? ' NULLS LAST' : ''}`),
    ...tieBreakers(query).map((column) => `${column}${last}`),
  ].join(', ');
}

/** Ids are unique within a type. They go in the direction of the last rule, so that one walk of an index serves both. */
const tieBreakers = ({ type }: SearchQuery): string[] => (type === null ? ['type', 'id'] : ['id']);

/** Rows after the position: later in the first key, or equal there and later in the next, and so on to the id. */
function afterPosition(keys: readonly SortKey[], { query, build }: Page): string | null {
  const { after } = query;
  if (!after) return null;
  const last = keys.at(-1)?.descending ?? false;
  const held: Held[] = [
    ...keys.map((key, at) => ({
      column: `k${at}`,
      descending: key.descending,
      nullable: key.nullable,
      value: placeholder(after.keys[at] ?? null, key, build),
    })),
    ...tieBreakers(query).map((column) => ({
      column,
      descending: last,
      nullable: false,
      value: build.parameters.add(column === 'id' ? after.id : after.type, 'text'),
    })),
  ];
  return held.every((one) => !one.nullable && one.descending === last)
    ? laterRow(held, last)
    : laterAny(held);
}

interface Held {
  readonly column: string;
  readonly descending: boolean;
  readonly nullable: boolean;
  /** Placeholder; null: the row had no value. */
  readonly value: string | null;
}

const placeholder = (value: string | null, { cast }: SortKey, build: Build): string | null =>
  value === null ? null : build.parameters.add(checkKey(value, cast), cast);

/** One comparison of rows, which an index can start from. */
const laterRow = (held: readonly Held[], descending: boolean): string =>
  `(${held.map(({ column }) => column).join(', ')}) ${descending ? '<' : '>'} (${held.map(({ value }) => value ?? 'NULL').join(', ')})`;

function laterAny(held: readonly Held[]): string {
  const equal: string[] = [];
  const any = held.flatMap(({ column, descending, nullable, value }) => {
    const later = value === null ? 'FALSE' : `${column} ${descending ? '<' : '>'} ${value}`;
    const here = [...equal, nullable && value !== null ? `(${later} OR ${column} IS NULL)` : later].join(
      ' AND ',
    );
    equal.push(value === null ? `${column} IS NULL` : `${column} = ${value}`);
    return [`(${here})`];
  });
  const [first] = held;
  // Follows from the rest; said again so that an index can start there.
  const bound =
    first && !first.nullable && first.value
      ? `${first.column} ${first.descending ? '<=' : '>='} ${first.value} AND `
      : '';
  return `${bound}(${any.join(' OR ')})`;
}
