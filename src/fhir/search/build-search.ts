import { type AccessContext } from '../access-context.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { type Build, buildRow } from './build-filter.ts';
import { sources } from './parse-filter.ts';
import type { Include, SearchQuery, SortRule } from './search-query.ts';

export interface BuiltSql {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Above this nobody needs the exact number, and counting costs as much as reading. */
export const TOTAL_MAX = 10_000;
/** Included resources of one page. */
export const INCLUDED_MAX = 1_000;

const newBuild = (access: AccessContext, base: string): Build => ({
  access,
  base,
  parameters: new SqlParameters(),
  aliases: 0,
});

const COLUMNS = 'type, id, version, last_updated, deleted, method, content';

/**
 * One page of matches, one more row than asked for (so that one knows whether there is a next page). Ordered by the sort rules and
 * at last by id, which never changes and grows with time; pages are cut by the last row's values, not by an offset.
 */
export function buildPage(query: SearchQuery, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const where = buildRow({ type: query.type, alias: 'r', base }, query.filters, build);
  const keys = query.sort.map((rule, at) => `${sortKey(rule, query.type, build)} AS k${at}`);
  const order = [...query.sort.map((rule, at) => `k${at}${rule.descending ? ' DESC' : ''}`), 'id'];
  const limit = build.parameters.add(query.count + 1, 'int');
  const page = query.after ? ` WHERE ${afterCursor(query.sort, query.after, build)}` : '';
  const cursor = query.sort.map((_, at) => `, k${at}::text AS c${at}`).join('');
  const rows = `SELECT ${['r.*', ...keys].join(', ')} FROM resource r WHERE ${where}`;
  return {
    text: `SELECT ${COLUMNS}${cursor} FROM (${rows}) page${page} ORDER BY ${order.join(', ')} LIMIT ${limit}`,
    values: build.parameters.values,
  };
}

/** Missing dates come last, in both directions (R4 search.html#sort leaves it open). */
function sortKey(rule: SortRule, type: string, build: Build): string {
  if (rule.code === '_id') return 'r.id';
  if (rule.code === '_lastUpdated') return 'r.last_updated';
  const where = `s.type = ${build.parameters.add(type, 'text')} AND s.id = r.id AND s.param = ${build.parameters.add(rule.code, 'text')}`;
  return rule.descending
    ? `COALESCE((SELECT max(s.hi) FROM search_date s WHERE ${where}), '-infinity')`
    : `COALESCE((SELECT min(s.lo) FROM search_date s WHERE ${where}), 'infinity')`;
}

/** Rows after the cursor: later in the first key, or equal there and later in the next, and so on to the id. */
function afterCursor(sort: readonly SortRule[], after: readonly string[], build: Build): string {
  const keys = [...sort.map((rule, at) => ({ column: `k${at}`, rule })), { column: 'id', rule: null }];
  const equal: string[] = [];
  const any = keys.map(({ column, rule }, at) => {
    const cast = rule === null || rule.code === '_id' ? 'text' : 'timestamptz';
    const value = build.parameters.add(after[at] ?? '', cast);
    const later = [...equal, `${column} ${rule?.descending ? '<' : '>'} ${value}`].join(' AND ');
    equal.push(`${column} = ${value}`);
    return `(${later})`;
  });
  return any.join(' OR ');
}

/** How many match, counted to one above `TOTAL_MAX`. Counts only what the caller may see. */
export function buildTotal(query: SearchQuery, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const where = buildRow({ type: query.type, alias: 'r', base }, query.filters, build);
  return {
    text: `SELECT count(*)::int AS total FROM (SELECT 1 FROM resource r WHERE ${where} LIMIT ${TOTAL_MAX + 1}) found`,
    values: build.parameters.values,
  };
}

/** Does this one resource match? The same conditions as a search, held against one id. */
export function buildMatch(query: SearchQuery, id: string, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const where = buildRow({ type: query.type, alias: 'r', base }, query.filters, build);
  return {
    text: `SELECT 1 FROM resource r WHERE r.id = ${build.parameters.add(id, 'text')} AND ${where}`,
    values: build.parameters.values,
  };
}

/**
 * The resources one include adds to a page of matches. Each candidate is held against the caller's access here, before any
 * limit, so an include cannot show what a search would not.
 */
export function buildInclude(
  include: Include,
  ids: readonly string[],
  query: SearchQuery,
  access: AccessContext,
  types: readonly string[],
  base: string,
): BuiltSql {
  const build = newBuild(access, base);
  const page = build.parameters.add(ids, 'text[]');
  const from = sources(include.parameter);
  const any = types.map((type) => {
    const row = buildRow({ type, alias: 'r', base }, [], build);
    const referred = from.map(({ source }) => {
      const start = `${source.type}.${source.code}>`;
      if (include.reverse) {
        return `r.tokens && ARRAY(SELECT ${build.parameters.add(`${start}${query.type}/`, 'text')} || page.id FROM unnest(${page}) page(id))`;
      }
      const head = build.parameters.add(`${start}${type}/`, 'text');
      return `r.id IN (SELECT substr(entry, length(${head}) + 1) FROM resource m, unnest(m.tokens) entry
        WHERE m.type = ${build.parameters.add(query.type, 'text')} AND m.id = ANY(${page}) AND starts_with(entry, ${head}))`;
    });
    return `SELECT ${COLUMNS} FROM resource r WHERE ${row} AND (${referred.join(' OR ')})`;
  });
  return { text: `${any.join(' UNION ALL ')} LIMIT ${INCLUDED_MAX}`, values: build.parameters.values };
}
