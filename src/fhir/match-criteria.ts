import type { Resource } from '@medplum/fhirtypes';
import type { Sql, Statement } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';
import { FULL_ACCESS } from './access-context.ts';
import { definitions } from './definitions/definitions.ts';
import { buildRow } from './search/build-filter.ts';
import { CodeSets } from './search/code-sets.ts';
import { indexedRows } from './search/index-resource.ts';
import { all, type Entries, judge, type Link, linksOf, type Need } from './search/judge-filter.ts';
import { parseQuery } from './search/parse-query.ts';
import { RowSpans } from './search/row-spans.ts';
import type { Filter } from './search/search-query.ts';
import { SqlParameters } from './sql-parameters.ts';

export type { Entries, Link, Need };
export { CodeSets };

/**
 * Criteria that are asked of every write, read once. Whether they match is said by SQL over the rows just written, the same SQL as a search's.
 * Before it stands a cheap look at the entries of the resource (its tokens, references and URIs): most criteria want a code,
 * a status or a patient, and for those the look says "no" without a round trip.
 */
export interface Criteria {
  readonly type: string;
  /** A search, without the type and the question mark. */
  readonly query: string;
  readonly filters: readonly Filter[];
  /** A resource that matches meets each of these. */
  readonly needs: readonly Need[];
  /** The entries alone always tell. */
  readonly decidable: boolean;
  /** Per chain and `_has`: at the other end of one of its links is something that meets it. */
  readonly links: readonly (readonly Link[])[];
  /**
   * Its SQL may go through everything that refers to a resource, and no limit of ours says how much that is: to the one written (`written`), or to one behind
   * a chain, of which nothing is known beforehand (`linked`). Null: it goes by an index.
   */
  readonly unbounded: 'written' | 'linked' | null;
  /** What is in memory tells: match, no match, or (null) that SQL must be asked. */
  decide(entries: Entries): boolean | null;
}

/**
 * Throws `fhir.invalid` or `fhir.unsupported` when a search with these criteria would. `sets`: what value sets in them stand for; where it has
 * open questions afterwards, they are to be looked up and the criteria compiled again.
 */
export function compileCriteria(
  type: string,
  query: string,
  base: string,
  sets: CodeSets = new CodeSets(),
): Criteria {
  if (!definitions().resourceTypes.includes(type))
    throw new Failure('fhir.invalid', 'The criteria name no resource type of FHIR R4.');
  const filters = sets.resolve(parseQuery(type, query).searches.flatMap((search) => search.filters));
  const judges = filters.map((filter) => judge(filter, type, base));
  const decides = judges.map(({ decide }) => decide);
  const links = filters.flatMap((filter) => linksOf(filter, type, base) ?? []);
  // Values that mean nothing (a date that is none) are found by building the SQL once.
  buildRow({ type, alias: 'r', base }, filters, newBuild(base));
  return {
    type,
    query,
    filters,
    needs: judges.flatMap(({ needs }) => (needs ? [needs] : [])),
    decidable: judges.every((one) => one.decidable),
    links,
    unbounded: filters.some((filter) => isUnboundedBehindChain(filter, base))
      ? 'linked'
      : links.flat().some(goesByReferrers)
        ? 'written'
        : null,
    decide: (entries) => all(decides, entries),
  };
}

/** By a code or a reference an index has the few that are meant; a range, or another link, is looked at for each that refers here. */
const goesByReferrers = ({ kind, needs }: Link): boolean =>
  kind === 'referred' && (!needs || needs.spans.length > 0);

const isUnboundedBehindChain = (filter: Filter, base: string): boolean =>
  filter.kind === 'chain' &&
  filter.links.some(
    (link) =>
      isUnboundedBehindChain(link.filter, base) ||
      linksOf(link.filter, link.type, base)?.flat().some(goesByReferrers) === true,
  );

/** What of such criteria is the same for every version of the resource: who refers to it. Whether the rest was met is known from memory, but for what shares a span. */
export const aboutReferrers = (criteria: Criteria): Criteria => ({
  ...criteria,
  filters: criteria.filters.filter(({ kind }) => kind === 'has'),
});

/** The entries of a resource, as the search index has them. Nothing is worked out again for one that was just written. */
export function entriesOf(resource: Resource, base: string): Entries {
  let entries = entriesBefore.get(resource);
  if (!entries) {
    const rows = indexedRows(resource, base);
    entries = { tokens: rows.tokens, spans: new RowSpans(resource, rows) };
    entriesBefore.set(resource, entries);
  }
  return entries;
}

const entriesBefore = new WeakMap<Resource, Entries>();

export interface MatchAsked {
  readonly criteria: Criteria;
  /** Ids of resources of the type. */
  readonly ids: readonly string[];
}

/** One statement asks this many; more would make it slow to plan. */
export const CRITERIA_PER_STATEMENT_MAX = 40;

/**
 * Which of the resources, as they stand in this transaction, meet which criteria: a set of ids per question, in the order of the questions. One statement
 * per `CRITERIA_PER_STATEMENT_MAX` questions.
 */
export async function matchCriteria(
  sql: Sql,
  asked: readonly MatchAsked[],
  base: string,
): Promise<ReadonlySet<string>[]> {
  const found = asked.map(() => new Set<string>());
  for (let from = 0; from < asked.length; from += CRITERIA_PER_STATEMENT_MAX) {
    const build = newBuild(base);
    const part = asked.slice(from, from + CRITERIA_PER_STATEMENT_MAX);
    const parts = part.map(({ criteria, ids }, at) => {
      const number = build.parameters.add(from + at, 'int');
      const those = build.parameters.add(ids, 'text[]');
      const where = buildRow({ type: criteria.type, alias: 'r', base }, criteria.filters, build);
      return `SELECT ${number} AS at, r.id FROM resource r WHERE r.id = ANY(${those}) AND ${where}`;
    });
    const text = parts.join(' UNION ALL ');
    // Which of two ways is right, from those that refer to the resource or from those that have the number, depends on the number: a plan for all
    // numbers would go through 100,000 Observations of one patient one by one (1.4 s, where the other way takes a millisecond).
    const statement = part.some(({ criteria }) => criteria.unbounded !== null) ? { text } : named(text);
    const rows = await sql.run<{ at: number; id: string }>(statement, build.parameters.values);
    for (const { at, id } of rows) found[at]?.add(id);
  }
  return found;
}

/** Plans of this many texts are kept by each connection; the same few criteria are asked again and again. */
export const NAMED_TEXTS_MAX = 200;
const names = new Map<string, string>();

/** A text that comes again is planned once: planning ten criteria takes longer than answering them. */
function named(text: string): Statement {
  const name = names.get(text);
  if (name) return { name, text };
  if (names.size >= NAMED_TEXTS_MAX || text.length > NAMED_CHARACTERS_MAX) return { text };
  const given = `fhir-match-${names.size}`;
  names.set(text, given);
  return { name: given, text };
}

const NAMED_CHARACTERS_MAX = 20_000;

const newBuild = (base: string) => ({
  access: FULL_ACCESS,
  base,
  parameters: new SqlParameters(),
  aliases: 0,
});
