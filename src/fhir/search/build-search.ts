import type { AccessContext } from '../access-context.ts';
import { COLUMNS_OF_R, ROW_COLUMNS } from '../stored-resource.ts';
import { type Build, buildRow, newBuild } from './build-filter.ts';
import { type BuiltSql, refs } from './build-page.ts';
import { findRows } from './find-rows.ts';
import type { SearchQuery } from './search-query.ts';

export { type BuiltSql, buildPage } from './build-page.ts';
export { newBuild };

/** Above this nobody needs the exact number, and counting costs as much as reading. */
export const TOTAL_MAX = 10_000;

/** How many match, counted to one above `TOTAL_MAX`. Counts only what the caller may see. */
export function buildTotal(query: SearchQuery, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const sets: string[] = [];
  const rows = `${matching(query, build, sets)} LIMIT ${TOTAL_MAX + 1}`;
  return built(`${withSets(sets)}SELECT count(*)::int AS total FROM (${rows}) found`, build);
}

/** What the planner believes to be the number of matches: row `QUERY PLAN` of EXPLAIN in JSON. Nothing is read. */
export function buildEstimate(query: SearchQuery, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const rows = query.searches.map(
    ({ type, filters }) =>
      `SELECT 1 FROM resource r WHERE ${buildRow({ type, alias: 'r', base: build.base }, filters, build)}`,
  );
  return built(`EXPLAIN (FORMAT JSON) ${rows.join(' UNION ALL ')}`, build);
}

function matching(query: SearchQuery, build: Build, sets: string[]): string {
  const ways = query.searches.flatMap(({ type, filters }) =>
    findRows({ type, alias: 'r', base: build.base }, { ...EVERY, filters }, build, sets),
  );
  return ways
    .map(({ gate, where }) => `SELECT 1 FROM resource r WHERE ${gate} AND ${where}`)
    .join(' UNION ALL ');
}

const EVERY = { limit: Number.POSITIVE_INFINITY, statistics: null };

const withSets = (sets: readonly string[]): string => (sets.length === 0 ? '' : `WITH ${sets.join(', ')} `);

const built = (text: string, { parameters }: Build): BuiltSql => ({
  text,
  values: parameters.values,
  steady: false,
});

/** Does this one resource match? The same conditions as a search, held against one id. */
export function buildMatch(query: SearchQuery, id: string, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const ofType = query.searches.map(({ type, filters }) =>
    buildRow({ type, alias: 'r', base }, filters, build),
  );
  const any = ofType.map((where) => `(${where})`).join(' OR ');
  return built(
    `SELECT 1 FROM resource r WHERE r.id = ${build.parameters.add(id, 'text')} AND (${any})`,
    build,
  );
}

/** What one round of includes looks for. */
export interface IncludeRound {
  /** Resources referred to, by type. */
  readonly ids: ReadonlyMap<string, readonly string[]>;
  /** Entries by which resources of a type refer to those at hand, by that type. */
  readonly entries: ReadonlyMap<string, readonly string[]>;
  /** Most rows to give. */
  readonly limit: number;
  /** Entries that begin so are wanted for the next round. */
  readonly heads: readonly string[];
}

/**
 * One round of includes in one statement. Each candidate is held against the caller's access here, before any limit, so an include cannot
 * show what a search would not (R4 search.html#include).
 */
export function buildInclude(round: IncludeRound, access: AccessContext, base: string): BuiltSql {
  const build = newBuild(access, base);
  const columns = `${COLUMNS_OF_R}, r.tokens`;
  const rows = (type: string, condition: string): string =>
    `SELECT ${columns} FROM resource r WHERE ${buildRow({ type, alias: 'r', base }, [], build)} AND ${condition}`;
  const parts = [
    ...[...round.ids].map(([type, ids]) => rows(type, `r.id = ANY(${build.parameters.add(ids, 'text[]')})`)),
    ...[...round.entries].map(([type, entries]) =>
      rows(type, `r.tokens && ${build.parameters.add(entries, 'text[]')}`),
    ),
  ];
  const limit = build.parameters.add(round.limit, 'int');
  const select = [...ROW_COLUMNS, ...refs(round.heads, build)].join(', ');
  return built(`SELECT ${select} FROM (${parts.join(' UNION ALL ')} LIMIT ${limit}) included`, build);
}
