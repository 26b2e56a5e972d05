import type { Resource } from '@medplum/fhirtypes';
import type { Sql, Statement } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';
import { FULL_ACCESS } from './access-context.ts';
import { definitions } from './definitions/definitions.ts';
import { buildRow } from './search/build-filter.ts';
import { CodeSets } from './search/code-sets.ts';
import { indexedRows } from './search/index-resource.ts';
import { KINDS } from './search/kinds/all.ts';
import { compositeParts } from './search/kinds/composite.ts';
import { parseQuery } from './search/parse-query.ts';
import { reachesOf, type Span, spansOf, touches } from './search/reach.ts';
import type { ValueFilter } from './search/search-kind.ts';
import type { Filter } from './search/search-query.ts';
import { SqlParameters } from './sql-parameters.ts';

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
  /** What is in memory tells: match, no match, or (null) that SQL must be asked. */
  decide(entries: Entries): boolean | null;
}

/** One of the entries, or a row that touches one of the spans. */
export interface Need {
  readonly entries: readonly string[];
  readonly spans: readonly Span[];
}

/** What a resource has left in the index. */
export interface Entries {
  /** Its tokens, references and URIs. */
  readonly tokens: ReadonlySet<string>;
  /** Where its numbers, quantities, dates and texts lie, by key; worked out when it is asked for. */
  readonly spans: ReadonlyMap<string, readonly Span[]>;
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
  // Values that mean nothing (a date that is none) are found by building the SQL once.
  buildRow({ type, alias: 'r', base }, filters, newBuild(base));
  return {
    type,
    query,
    filters,
    needs: judges.flatMap(({ needs }) => (needs ? [needs] : [])),
    decidable: judges.every((one) => one.decidable),
    decide: (entries) =>
      all(
        judges.map(({ decide }) => decide),
        entries,
      ),
  };
}

/** The entries of a resource, as the search index has them. Nothing is worked out again for one that was just written. */
export function entriesOf(resource: Resource, base: string): Entries {
  const rows = indexedRows(resource, base);
  let spans: Entries['spans'] | null = null;
  return {
    tokens: rows.tokens,
    get spans() {
      spans ??= spansOf(String(resource.id), rows);
      return spans;
    },
  };
}

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
    const parts = asked.slice(from, from + CRITERIA_PER_STATEMENT_MAX).map(({ criteria, ids }, at) => {
      const number = build.parameters.add(from + at, 'int');
      const those = build.parameters.add(ids, 'text[]');
      const where = buildRow({ type: criteria.type, alias: 'r', base }, criteria.filters, build);
      return `SELECT ${number} AS at, r.id FROM resource r WHERE r.id = ANY(${those}) AND ${where}`;
    });
    const text = parts.join(' UNION ALL ');
    const rows = await sql.run<{ at: number; id: string }>(named(text), build.parameters.values);
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

type Decide = (entries: Entries) => boolean | null;

interface Judge {
  readonly needs: Need | null;
  readonly decidable: boolean;
  readonly decide: Decide;
}

function judge(filter: Filter, type: string, base: string): Judge {
  if (filter.kind === 'value') {
    const entries = entriesAskedFor(filter, type, base);
    if (entries) return byEntries(entries);
    const spans = reachesOf(filter.value);
    if (spans) return bySpans(spans);
    return filter.value.parameter.kind === 'composite' ? byParts(filter.value, type, base) : UNKNOWN;
  }
  if (filter.kind === 'any')
    return anyOf(
      filter.of.map((one) => judge(one, type, base)),
      true,
    );
  if (filter.kind === 'not') {
    const { decidable, decide } = judge(filter.filter, type, base);
    return { needs: null, decidable, decide: (of) => not(decide(of)) };
  }
  return UNKNOWN;
}

const byEntries = (entries: readonly string[]): Judge => ({
  needs: { entries, spans: [] },
  decidable: true,
  decide: ({ tokens }) => entries.some((entry) => tokens.has(entry)),
});

/** Rows that touch none of the spans say no; a row that does must still be looked at by SQL. */
const bySpans = (spans: readonly Span[]): Judge => ({
  needs: { entries: [], spans },
  decidable: false,
  decide: (of) =>
    spans.some((span) => of.spans.get(span.key)?.some((row) => touches(row, span))) ? null : false,
});

/** `sure`: a yes of one is a yes of all together. */
function anyOf(judges: readonly Judge[], sure: boolean): Judge {
  const needs = judges.flatMap((one) => one.needs ?? []);
  return {
    needs:
      needs.length < judges.length
        ? null
        : { entries: needs.flatMap((one) => one.entries), spans: needs.flatMap((one) => one.spans) },
    decidable: sure && judges.every((one) => one.decidable),
    decide: (of) => {
      const answer = not(
        all(
          judges.map((one) => (entries) => not(one.decide(entries))),
          of,
        ),
      );
      return answer && !sure ? null : answer;
    },
  };
}

/** A composite is met where, for one of the elements it may lie in, each part is met by the resource at least. Whether by the same element, SQL says. */
function byParts({ values, parameter }: ValueFilter, type: string, base: string): Judge {
  const ways = values.flatMap((text) =>
    compositeParts(parameter, text).map((parts) => {
      const judges = parts.map((of) =>
        anyOf(
          of.map((value) => judge({ kind: 'value', value }, type, base)),
          true,
        ),
      );
      const decides = judges.map(({ decide }) => decide);
      const needs = judges.find((one) => one.needs)?.needs ?? null;
      return { needs, decidable: false, decide: (of: Entries) => all(decides, of) };
    }),
  );
  return anyOf(ways, false);
}

const UNKNOWN: Judge = { needs: null, decidable: false, decide: () => null };

const not = (answer: boolean | null): boolean | null => (answer === null ? null : !answer);

/** One "no" decides; without one an unknown leaves it open. */
function all(judges: readonly Decide[], entries: Entries): boolean | null {
  let answer: boolean | null = true;
  for (const decide of judges) {
    const one = decide(entries);
    if (one === false) return false;
    if (one === null) answer = null;
  }
  return answer;
}

/**
 * The kind of the parameter says itself what it looks for: where its condition is nothing but "has one of these entries", those are they. So
 * this look and the SQL cannot disagree, and a kind that asks otherwise is simply left to the SQL.
 */
function entriesAskedFor(
  filter: Filter & { kind: 'value' },
  type: string,
  base: string,
): readonly string[] | null {
  const { parameter } = filter.value;
  if (parameter.code === '_id' || parameter.code === '_lastUpdated') return null;
  const parameters = new SqlParameters();
  const text = KINDS[parameter.kind].condition(filter.value, { type, alias: 'r', base }, parameters);
  const [entries] = parameters.values;
  const plain = parameters.values.length === 1 && Array.isArray(entries) && ENTRIES_ONLY.test(text);
  return plain ? (entries as readonly string[]) : null;
}

const ENTRIES_ONLY = /^\(?r\.tokens && \$1(::text\[\])?\)?$/;
