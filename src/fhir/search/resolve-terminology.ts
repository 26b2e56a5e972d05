import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { registeredTerminology, type SystemCode, type Terminology } from '../terminology-registry.ts';
import type { ValueFilter } from './search-kind.ts';
import type { Filter, SearchQuery } from './search-query.ts';
import { escaped, splitValue, unescaped } from './split-value.ts';

/**
 * Codes one `:in`, `:above` or `:below` may stand for: each is one look-up in the index of entries (a few µs), so this is some 20 ms. A
 * larger set is not what a search by a set is good for.
 */
export const RESOLVED_CODES_MAX = 5_000;

const RESOLVED: ReadonlySet<string> = new Set(['in', 'above', 'below']);

/** Does any filter name a value set or a part of a hierarchy? Asked of every search: no other pays for this. */
export const needsTerminology = (filters: readonly Filter[]): boolean => filters.some(needs);

function needs(filter: Filter): boolean {
  switch (filter.kind) {
    case 'value':
      return isResolved(filter.value);
    case 'any':
      return filter.of.some(needs);
    case 'not':
    case 'has':
      return needs(filter.filter);
    case 'chain':
      return filter.links.some((link) => needs(link.filter));
    default:
      return false;
  }
}

const isResolved = ({ modifier, parameter }: ValueFilter): boolean =>
  modifier !== null && parameter.kind === 'token' && RESOLVED.has(modifier);

/**
 * Puts the codes in the place of `:in`, `:above` and `:below` (R4 search.html#token). Throws `fhir.invalid` when the value set or the code
 * is not known here, or stands for more than `RESOLVED_CODES_MAX` codes.
 */
export async function resolveTerminology(query: SearchQuery, sql: Sql): Promise<SearchQuery> {
  if (!query.searches.some(({ filters }) => needsTerminology(filters))) return query;
  const searches = query.searches.map(async (search) => ({
    ...search,
    filters: await resolveFilters(search.filters, sql),
  }));
  return { ...query, searches: await Promise.all(searches) };
}

const resolveFilters = (filters: readonly Filter[], sql: Sql): Promise<Filter[]> =>
  Promise.all(filters.map((filter) => resolved(filter, sql)));

async function resolved(filter: Filter, sql: Sql): Promise<Filter> {
  if (!needs(filter)) return filter;
  switch (filter.kind) {
    case 'value':
      return { kind: 'value', value: await withCodes(filter.value, sql) };
    case 'any':
      return { kind: 'any', of: await resolveFilters(filter.of, sql) };
    case 'not':
      return { kind: 'not', filter: await resolved(filter.filter, sql) };
    case 'has':
      return { ...filter, filter: await resolved(filter.filter, sql) };
    case 'chain': {
      const links = filter.links.map(async (link) => ({ ...link, filter: await resolved(link.filter, sql) }));
      return { ...filter, links: await Promise.all(links) };
    }
    default:
      return filter;
  }
}

async function withCodes(filter: ValueFilter, sql: Sql): Promise<ValueFilter> {
  const terminology = registeredTerminology();
  const name = `${filter.parameter.code}:${filter.modifier}`;
  if (!terminology) throw new Failure('fhir.unsupported', `${name} needs terminology, and none is loaded.`);
  const all = new Set<string>();
  for (const value of filter.values) {
    const codes = await codesAsked(value, filter, terminology, sql);
    if (!codes) throw new Failure('fhir.invalid', `${name} names what is not loaded here; see ${WHERE}.`);
    for (const one of valuesOfCodes(codes)) all.add(one);
    if (codes.length > RESOLVED_CODES_MAX || all.size > RESOLVED_CODES_MAX) {
      throw new Failure(
        'fhir.invalid',
        `${name} stands for more than ${RESOLVED_CODES_MAX} codes; ask for a smaller part.`,
      );
    }
  }
  return { ...filter, modifier: null, values: [...all] };
}

const WHERE = 'ValueSet and CodeSystem of this server';

/** As values of a token parameter. */
export const valuesOfCodes = (codes: readonly SystemCode[]): string[] =>
  codes.map(({ system, code }) => `${escaped(system)}|${escaped(code)}`);

/** What one value of `:in`, `:above` or `:below` stands for; null: nothing that is here. Throws `fhir.invalid` for a value that names no code. */
export function codesAsked(
  value: string,
  { modifier, parameter }: ValueFilter,
  terminology: Terminology,
  sql: Sql,
): Promise<readonly SystemCode[] | null> {
  const name = `${parameter.code}:${modifier}`;
  if (modifier === 'in') return terminology.membersOf(unescaped(value), RESOLVED_CODES_MAX, sql);
  const [system, code, ...more] = splitValue(value, '|').map(unescaped);
  if (!system || !code || more.length > 0) {
    throw new Failure('fhir.invalid', `${name} wants system|code, both given.`);
  }
  return modifier === 'below'
    ? terminology.below({ system, code }, RESOLVED_CODES_MAX, sql)
    : terminology.above({ system, code }, RESOLVED_CODES_MAX, sql);
}
