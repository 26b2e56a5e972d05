import { createHash } from 'node:crypto';
import type { Sql, Statement } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { type FoundRow, foundToStored, type StoredResource } from '../stored-resource.ts';
import { type BuiltSql, buildEstimate, buildPage, buildTotal, TOTAL_MAX } from './build-search.ts';
import { entryStatistics } from './entry-statistics.ts';
import { printCursor } from './page-cursor.ts';
import { resolveTerminology } from './resolve-terminology.ts';
import { INCLUDED_MAX, type IncludingRow, includeHeads, runInclude } from './run-include.ts';
import type { PagePosition, SearchQuery } from './search-query.ts';
import { cursorKey, sortKey } from './sort-key.ts';
import { COUNT_MS_MAX, SEARCH_MS_MAX } from './time-limits.ts';

export interface SearchResult {
  readonly matches: readonly StoredResource[];
  readonly included: readonly StoredResource[];
  /** How many match in all; null when not asked for, or more than are counted. */
  readonly total: number | null;
  /** Cursor of the next page; null on the last. */
  readonly next: string | null;
  /** Limits that were met, in sentences: for an OperationOutcome among the entries. */
  readonly notes: readonly string[];
}

/** Runs a parsed search. Throws `auth.scope` when the caller may not search the type, or none of several. */
export async function runSearch(
  sql: Sql,
  asked: SearchQuery,
  access: AccessContext,
  base: string,
): Promise<SearchResult> {
  const query = await resolveTerminology(await withRows(sql, allowed(asked, access)), sql);
  const notes: string[] = [];
  if (query.countOnly) {
    const total = await count(sql, query, access, base, notes);
    return { matches: [], included: [], total, next: null, notes };
  }
  const built = buildPage(query, access, base, {
    heads: includeHeads(query.includes),
    statistics: entryStatistics(sql, performance.now()),
  });
  const all = typed(await rowsOf(sql, built), query);
  const found = eachOnce(all);
  const rows = found.slice(0, query.count);
  const last = rows.at(-1);
  const more = all.length > query.count && last !== undefined;
  const included = await runInclude(sql, rows, query.includes, access, base);
  if (included.cut)
    notes.push(
      `More than ${INCLUDED_MAX} resources, or too long a way, to include: some were left out. Ask for a smaller page.`,
    );
  return {
    matches: rows.map(foundToStored),
    included: included.resources,
    total: query.after === null && !more ? rows.length : await total(sql, query, access, base, notes),
    next: more ? printCursor(query.sort, positionOf(last, query)) : null,
    notes,
  };
}

/** A row that has one sort value twice comes twice in a row: the next page would leave both out. */
const eachOnce = (rows: readonly PageRow[]): PageRow[] =>
  rows.filter((row, at) => row.id !== rows[at - 1]?.id || row.type !== rows[at - 1]?.type);

type PageRow = FoundRow & Pick<IncludingRow, 'refs'> & { readonly [cursor: `c${number}`]: string | null };

/** Of a search of one type the rows do not say it. */
type UntypedRow = Omit<PageRow, 'type'> & { type?: string; cut?: boolean };

async function rowsOf(sql: Sql, built: BuiltSql): Promise<UntypedRow[]> {
  const rows = await sql.run<UntypedRow>(statementOf(built), built.values);
  const { whole } = built;
  if (!whole || rows.length >= whole.of || rows[0]?.cut === false) return rows;
  return rowsOf(sql, whole.built());
}

function typed(rows: UntypedRow[], { type }: SearchQuery): PageRow[] {
  if (type !== null) for (const row of rows) row.type = type;
  return rows as PageRow[];
}

function positionOf(row: PageRow, { sort }: SearchQuery): PagePosition {
  const keys = sort.map((rule, at) => cursorKey(row[`c${at}`] ?? null, sortKey(rule, row.type).cast));
  return { keys, type: row.type, id: row.id };
}

/** A search of several types shows those that the caller may search; types that were named must all be allowed. */
function allowed(query: SearchQuery, access: AccessContext): SearchQuery {
  const may = query.searches.filter(({ type }) => access.allows(type, 'search'));
  if (may.length === query.searches.length && may.length > 0) return query;
  const named = query.type !== null || query.used.some(([name]) => name === '_type');
  const refused = query.searches.find(({ type }) => !access.allows(type, 'search'));
  if (refused && (named || may.length === 0)) demandAccess(access, refused.type, 'search');
  if (may.length === 0) throw new Failure('fhir.invalid', 'The search names no type that it could search.');
  return { ...query, searches: may };
}

/** More types than this are first asked whether they have any rows: most of the 148 have none, and each makes the statement dearer to plan. */
const TYPES_UNASKED_MAX = 8;

async function withRows(sql: Sql, query: SearchQuery): Promise<SearchQuery> {
  if (query.searches.length <= TYPES_UNASKED_MAX) return query;
  const types = query.searches.map(({ type }) => type);
  const rows = await sql.run<{ type: string }>(TYPES_WITH_ROWS, [types]);
  const there = new Set(rows.map(({ type }) => type));
  const searches = query.searches.filter(({ type }) => there.has(type));
  return { ...query, searches: searches.length > 0 ? searches : query.searches.slice(0, 1) };
}

const TYPES_WITH_ROWS: Statement = {
  name: 'fhir-types-with-rows',
  text: `SELECT asked.type FROM unnest($1::text[]) asked(type)
    WHERE EXISTS (SELECT 1 FROM resource r WHERE r.type = asked.type)`,
  timeoutMs: SEARCH_MS_MAX,
};

/**
 * A steady statement is prepared under a name: parsed and planned once per connection, and mostly brief. The others are planned for the values at hand. The
 * number of names is bounded, since a caller may make new shapes without end and each connection keeps every name.
 */
function statementOf({ text, steady }: BuiltSql, timeoutMs = SEARCH_MS_MAX): Statement {
  if (!steady) return { text, timeoutMs };
  let name = names.get(text);
  if (name === undefined && names.size < PREPARED_SEARCHES_MAX) {
    name = `fhir-search-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    names.set(text, name);
  }
  return name === undefined ? { text, timeoutMs } : { name, text, timeoutMs, brief: true };
}

const PREPARED_SEARCHES_MAX = 200;
const names = new Map<string, string>();

async function total(
  sql: Sql,
  query: SearchQuery,
  access: AccessContext,
  base: string,
  notes: string[],
): Promise<number | null> {
  return query.total === 'none' ? null : count(sql, query, access, base, notes);
}

/** The exact number up to `TOTAL_MAX`; above it the planner's estimate when that is enough, else null and a note. */
async function count(
  sql: Sql,
  query: SearchQuery,
  access: AccessContext,
  base: string,
  notes: string[],
): Promise<number | null> {
  const built = buildTotal(query, access, base);
  const [row] = await sql.run<{ total: number }>({ text: built.text, timeoutMs: COUNT_MS_MAX }, built.values);
  const counted = row?.total ?? 0;
  if (counted <= TOTAL_MAX) return counted;
  if (query.total === 'estimate') return Math.max(counted, await estimate(sql, query, access, base));
  notes.push(
    `More than ${TOTAL_MAX} resources match; they are not counted further. Ask for _total=estimate.`,
  );
  return null;
}

async function estimate(sql: Sql, query: SearchQuery, access: AccessContext, base: string): Promise<number> {
  const built = buildEstimate(query, access, base);
  const [row] = await sql.run<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(
    statementOf(built, COUNT_MS_MAX),
    built.values,
  );
  return Math.round(row?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0);
}
