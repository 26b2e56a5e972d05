import { SqlParameters } from '../sql-parameters.ts';
import { KINDS } from './kinds/all.ts';
import { compositePairs, compositeParts, compositeSources } from './kinds/composite.ts';
import { presenceKey, reachesOf, type Span, touches } from './reach.ts';
import type { ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';
import type { Filter } from './search-query.ts';

/** What a resource has left in the index. */
export interface Entries {
  /** Its tokens, references and URIs. */
  readonly tokens: ReadonlySet<string>;
  /** Where its rows lie, by key; worked out when it is asked for. */
  readonly spans: { get(key: string): readonly Span[] | undefined };
}

/** One of the entries, or a row that touches one of the spans. */
export interface Need {
  readonly entries: readonly string[];
  readonly spans: readonly Span[];
}

/** Match, no match, or (null) that SQL must be asked. */
export type Decide = (entries: Entries) => boolean | null;

/** What memory alone can say of a filter. */
export interface Judge {
  /** What a resource that matches has; null: nothing that could be looked up. */
  readonly needs: Need | null;
  /** The entries alone always tell. */
  readonly decidable: boolean;
  readonly decide: Decide;
}

/** One way of a chain or `_has` to another resource. */
export interface Link {
  /** `refers`: entries `<head><id>` of this resource name the other; `referred`: those of the other name this one. */
  readonly kind: 'refers' | 'referred';
  readonly heads: readonly string[];
  /** Type of the other resource. */
  readonly type: string;
  /** Of the other resource. */
  readonly needs: Need | null;
  readonly decide: Decide;
}

/** Never says no where the SQL of the filter would say yes. */
export function judge(filter: Filter, type: string, base: string): Judge {
  switch (filter.kind) {
    case 'value':
      return judgeValue(filter.value, type, base);
    case 'present':
      return judgePresent(filter.parameter, filter.targetType ?? null);
    case 'any':
      return anyOf(
        filter.of.map((one) => judge(one, type, base)),
        true,
      );
    case 'not': {
      const { decidable, decide } = judge(filter.filter, type, base);
      return { needs: absence(filter.filter), decidable, decide: (of) => not(decide(of)) };
    }
    case 'chain':
      // Who meets it refers to the type at least.
      return { ...anyOf(filter.links.map(refersTo), false), decidable: false };
    case 'has':
      return UNKNOWN;
  }
}

/** The ways of a chain or `_has`; null for other filters. */
export function linksOf(filter: Filter, type: string, base: string): [readonly Link[]] | null {
  if (filter.kind === 'chain') {
    const links = filter.links.map((link): Link => {
      const { needs, decide } = judge(link.filter, link.type, base);
      return { kind: 'refers', heads: [headOf(link.parameter, link.type)], type: link.type, needs, decide };
    });
    return [links];
  }
  const other = filter.kind === 'has' ? filter.parameters[0]?.type : undefined;
  if (filter.kind !== 'has' || other === undefined) return null;
  const heads = filter.parameters.map((parameter) => headOf(parameter, type));
  const { needs, decide } = judge(filter.filter, other, base);
  return [[{ kind: 'referred', heads, type: other, needs, decide }]];
}

const headOf = (parameter: SearchParameter, target: string): string =>
  `${parameter.type}.${parameter.code}>${target}/`;

/** One "no" decides; without one an unknown leaves it open. */
export function all(judges: readonly Decide[], entries: Entries): boolean | null {
  let answer: boolean | null = true;
  for (const decide of judges) {
    const one = decide(entries);
    if (one === false) return false;
    if (one === null) answer = null;
  }
  return answer;
}

const not = (answer: boolean | null): boolean | null => (answer === null ? null : !answer);

const UNKNOWN: Judge = { needs: null, decidable: false, decide: () => null };
const ALWAYS: Judge = { needs: null, decidable: true, decide: () => true };

function judgeValue(value: ValueFilter, type: string, base: string): Judge {
  const entries = entriesAskedFor(value, type, base);
  if (entries) return byEntries(entries);
  const spans = reachesOf(value);
  if (spans) return bySpans(spans);
  return value.parameter.kind === 'composite' ? byParts(value, type, base) : UNKNOWN;
}

const byEntries = (entries: readonly string[]): Judge => ({
  needs: { entries, spans: [] },
  decidable: true,
  decide: ({ tokens }) => entries.some((entry) => tokens.has(entry)),
});

const touched = (spans: readonly Span[], of: Entries): boolean =>
  spans.some((span) => of.spans.get(span.key)?.some((row) => touches(row, span)));

/** Rows that touch none of the spans say no; a row that does must still be looked at by SQL. */
const bySpans = (spans: readonly Span[]): Judge => ({
  needs: { entries: [], spans },
  decidable: false,
  decide: (of) => (touched(spans, of) ? null : false),
});

/** R4 search.html#missing. */
function judgePresent(parameter: SearchParameter, targetType: string | null): Judge {
  if (parameter.code === '_id' || parameter.code === '_lastUpdated') return ALWAYS;
  if (parameter.kind === 'composite') {
    const roots = compositeSources(parameter).map((parts) => {
      const judges = parts.map((one) =>
        anyOf(
          one.map((source) => judgePresent(source, null)),
          true,
        ),
      );
      return { ...allOf(judges), decidable: true };
    });
    return anyOf(roots, true);
  }
  const span = at(parameter, targetType, PRESENT);
  return {
    needs: { entries: [], spans: [span] },
    decidable: true,
    decide: (of) => touched([span], of),
  };
}

/** Where `presenceKey` has the resources with the element, and those without. */
const PRESENT = 1;
const ABSENT = 0;

function at(parameter: SearchParameter, targetType: string | null, place: number): Span {
  return { key: presenceKey(parameter, targetType), from: place, to: place };
}

/** `:missing=true`: of several sources all are missing, so the first is. */
function absence(filter: Filter): Need | null {
  const first =
    filter.kind === 'any' && filter.of.every(({ kind }) => kind === 'present') ? filter.of[0] : filter;
  if (first?.kind !== 'present' || first.parameter.kind === 'composite') return null;
  if (first.parameter.code === '_id' || first.parameter.code === '_lastUpdated') return null;
  return { entries: [], spans: [at(first.parameter, first.targetType ?? null, ABSENT)] };
}

const refersTo = ({ parameter, type }: { parameter: SearchParameter; type: string }): Judge =>
  judgePresent(parameter, type);

/** `sure`: a yes of one is a yes of all together. */
function anyOf(judges: readonly Judge[], sure: boolean): Judge {
  const needs = judges.flatMap((one) => one.needs ?? []);
  const denies = judges.map(
    ({ decide }): Decide =>
      (entries) =>
        not(decide(entries)),
  );
  return {
    needs:
      needs.length < judges.length
        ? null
        : { entries: needs.flatMap((one) => one.entries), spans: needs.flatMap((one) => one.spans) },
    decidable: sure && judges.every((one) => one.decidable),
    decide: (of) => {
      const answer = not(all(denies, of));
      return answer && !sure ? null : answer;
    },
  };
}

function allOf(judges: readonly Judge[]): Judge {
  const decides = judges.map(({ decide }) => decide);
  return {
    needs: judges.find((one) => one.needs)?.needs ?? null,
    decidable: false,
    decide: (of) => all(decides, of),
  };
}

/** A composite is met where, for one of the elements it may lie in, each part is met by the resource at least. Whether by the same element, SQL says. */
function byParts({ values, parameter }: ValueFilter, type: string, base: string): Judge {
  const ways = values.flatMap((text) => [
    ...compositePairs(parameter, text, { type, alias: 'r', base }).map((entries) => byEntries(entries)),
    ...compositeParts(parameter, text).map((parts) =>
      allOf(
        parts.map((of) =>
          anyOf(
            of.map((value) => judge({ kind: 'value', value }, type, base)),
            true,
          ),
        ),
      ),
    ),
  ]);
  return anyOf(ways, false);
}

/**
 * The kind of the parameter says itself what it looks for: where its condition is nothing but "has one of these entries", those are they. So
 * this look and the SQL cannot disagree, and a kind that asks otherwise is simply left to the SQL.
 */
function entriesAskedFor(value: ValueFilter, type: string, base: string): readonly string[] | null {
  const { parameter } = value;
  if (parameter.code === '_id' || parameter.code === '_lastUpdated') return null;
  const parameters = new SqlParameters();
  const text = KINDS[parameter.kind].condition(value, { type, alias: 'r', base }, parameters);
  const [entries] = parameters.values;
  const plain = parameters.values.length === 1 && Array.isArray(entries) && ENTRIES_ONLY.test(text);
  return plain ? (entries as readonly string[]) : null;
}

const ENTRIES_ONLY = /^\(?r\.tokens && \$1(::text\[\])?\)?$/;
