import type { Sql } from '../../database/database.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { definitions } from '../definitions/definitions.ts';
import { type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { type BuiltSql, buildInclude, buildPage, buildTotal, TOTAL_MAX } from './build-search.ts';
import { sources } from './parse-filter.ts';
import { printCursor } from './parse-query.ts';
import type { Include, SearchQuery } from './search-query.ts';

export interface SearchResult {
  readonly matches: readonly StoredResource[];
  readonly included: readonly StoredResource[];
  /** How many match in all; null when not asked for, or more than can be counted. */
  readonly total: number | null;
  /** Cursor of the next page; null on the last. */
  readonly next: string | null;
}

/** Runs a parsed search. Throws `auth.scope` when the caller may not search the type. */
export async function runSearch(
  sql: Sql,
  query: SearchQuery,
  access: AccessContext,
  base: string,
): Promise<SearchResult> {
  demandAccess(access, query.type, 'search');
  if (query.countOnly) {
    return { matches: [], included: [], total: await count(sql, query, access, base), next: null };
  }
  const found = await run<ResourceRow & Record<string, string>>(sql, buildPage(query, access, base));
  const rows = found.slice(0, query.count);
  const matches = rows.map(rowToStored);
  const last = rows.at(-1);
  const more = found.length > query.count && last !== undefined;
  const whole = query.after === null && !more;
  return {
    matches,
    included: await include(sql, query, matches, access, base),
    total: whole ? matches.length : query.total ? await count(sql, query, access, base) : null,
    next: more ? printCursor([...query.sort.map((_, at) => String(last[`c${at}`])), last.id]) : null,
  };
}

/** Search text is built on the fly: unnamed, so that PostgreSQL plans it for the values at hand. */
const run = <Row>(sql: Sql, built: BuiltSql): Promise<Row[]> =>
  sql.run<Row>({ text: built.text }, built.values);

async function count(
  sql: Sql,
  query: SearchQuery,
  access: AccessContext,
  base: string,
): Promise<number | null> {
  const [row] = await run<{ total: number }>(sql, buildTotal(query, access, base));
  return row && row.total <= TOTAL_MAX ? row.total : null;
}

async function include(
  sql: Sql,
  query: SearchQuery,
  matches: readonly StoredResource[],
  access: AccessContext,
  base: string,
): Promise<StoredResource[]> {
  const ids = matches.map((match) => match.id);
  const seen = new Set(matches.map((match) => `${match.type}/${match.id}`));
  const all: StoredResource[] = [];
  for (const one of ids.length === 0 ? [] : query.includes) {
    const types = (await includedTypes(sql, one, query.type, ids)).filter((type) =>
      access.allows(type, 'search'),
    );
    if (types.length === 0) continue;
    const rows = await run<ResourceRow>(sql, buildInclude(one, ids, query, access, types, base));
    for (const stored of rows.map(rowToStored)) {
      const key = `${stored.type}/${stored.id}`;
      if (!seen.has(key)) all.push(stored);
      seen.add(key);
    }
  }
  return all;
}

/** A reference may allow every type there is; only those that the page really refers to are looked for. */
async function includedTypes(
  sql: Sql,
  include: Include,
  type: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  if (include.reverse) return [include.parameter.type];
  if (include.targetType) return [include.targetType];
  const heads = sources(include.parameter).map(({ source }) => `${source.type}.${source.code}>`);
  const rows = await sql.run<{ type: string }>(REFERRED_TYPES, [type, ids, heads]);
  const limits = new Set(sources(include.parameter).flatMap(({ targetType }) => targetType ?? []));
  const known = new Set(definitions().resourceTypes);
  return rows
    .map((row) => row.type)
    .filter((one) => known.has(one) && (limits.size === 0 || limits.has(one)));
}

const REFERRED_TYPES = {
  name: 'fhir-referred-types',
  text: `SELECT DISTINCT split_part(substr(entry, length(head) + 1), '/', 1) AS type
    FROM resource r, unnest(r.tokens) entry, unnest($3::text[]) head
    WHERE r.type = $1 AND r.id = ANY($2::text[]) AND starts_with(entry, head)`,
};
