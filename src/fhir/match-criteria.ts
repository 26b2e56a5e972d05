import type { Resource } from '@medplum/fhirtypes';
import type { Sql, Statement } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';
import { FULL_ACCESS } from './access-context.ts';
import { definitions } from './definitions/definitions.ts';
import { buildRow } from './search/build-filter.ts';
import { indexedRows } from './search/index-resource.ts';
import { KINDS } from './search/kinds/all.ts';
import { parseQuery } from './search/parse-query.ts';
import type { Filter } from './search/search-query.ts';
import { SqlParameters } from './sql-parameters.ts';

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
  /** Sets of entries: a resource that matches has one of each set at least. */
  readonly needs: readonly (readonly string[])[];
  /** The entries alone always tell. */
  readonly decidable: boolean;
  /** What the entries alone tell: match, no match, or (null) that other rows must be asked. */
  decide(entries: ReadonlySet<string>): boolean | null;
}

/** Throws `fhir.invalid` or `fhir.unsupported` when a search with these criteria would. */
export function compileCriteria(type: string, query: string, base: string): Criteria {
  if (!definitions().resourceTypes.includes(type))
    throw new Failure('fhir.invalid', 'The criteria name no resource type of FHIR R4.');
  const filters = parseQuery(type, query).searches.flatMap((search) => search.filters);
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
export const entriesOf = (resource: Resource, base: string): ReadonlySet<string> =>
  indexedRows(resource, base).tokens;

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

type Decide = (entries: ReadonlySet<string>) => boolean | null;

interface Judge {
  readonly needs: readonly string[] | null;
  readonly decidable: boolean;
  readonly decide: Decide;
}

function judge(filter: Filter, type: string, base: string): Judge {
  if (filter.kind === 'value') {
    const entries = entriesAskedFor(filter, type, base);
    if (!entries) return UNKNOWN;
    return { needs: entries, decidable: true, decide: (of) => entries.some((entry) => of.has(entry)) };
  }
  if (filter.kind === 'any') {
    const judges = filter.of.map((one) => judge(one, type, base));
    const needs = judges.every((one) => one.needs) ? judges.flatMap((one) => one.needs ?? []) : null;
    return {
      needs,
      decidable: judges.every((one) => one.decidable),
      decide: (of) =>
        not(
          all(
            judges.map((one) => (entries) => not(one.decide(entries))),
            of,
          ),
        ),
    };
  }
  if (filter.kind === 'not') {
    const { decidable, decide } = judge(filter.filter, type, base);
    return { needs: null, decidable, decide: (of) => not(decide(of)) };
  }
  return UNKNOWN;
}

const UNKNOWN: Judge = { needs: null, decidable: false, decide: () => null };

const not = (answer: boolean | null): boolean | null => (answer === null ? null : !answer);

/** One "no" decides; without one an unknown leaves it open. */
function all(judges: readonly Decide[], entries: ReadonlySet<string>): boolean | null {
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
