import { Failure } from '../../kernel/errors.ts';
import { atParameter, badParameter } from '../at-parameter.ts';
import { definitions } from '../definitions/definitions.ts';
import { lenientControl } from './lenient-control.ts';
import { readCursor } from './page-cursor.ts';
import { type Compartment, compartmentFilter, typesInCompartment } from './parse-compartment.ts';
import { isSortable, newControls, readControl } from './parse-controls.ts';
import { parseFilter } from './parse-filter.ts';
import type { Filter, SearchQuery } from './search-query.ts';

export { INCLUDES_MAX, PAGE_ENTRIES, PAGE_ENTRIES_MAX, SORT_RULES_MAX } from './parse-controls.ts';
export type { Compartment };

/** More would make one request as dear as many. */
export const QUERY_PARAMETERS_MAX = 20;
/** Of the whole query, as it would stand in a URL. */
export const QUERY_CHARACTERS_MAX = 4_096;

export interface ParseOptions {
  /** `Prefer: handling=lenient`: unknown parameters are ignored, also those that `_sort` and the includes name. */
  readonly lenient?: boolean;
  /** Only what is in this compartment (R4 http.html#vsearch: `GET [base]/Patient/[id]/[type]`). */
  readonly compartment?: Compartment;
}

/**
 * Reads a search of one type. R4 search.html: unknown parameters and values that mean nothing are refused (`fhir.invalid`), since an
 * ignored filter would answer with too much; `lenient` ignores unknown parameters only (those in `_sort` and includes too).
 */
export function parseQuery(
  type: string,
  query: string | URLSearchParams,
  options: ParseOptions = {},
): SearchQuery {
  return parsed(type, [type], given(query), options);
}

/**
 * Reads a search of the whole system, or of a whole compartment (R4 http.html#vsearch: `GET [base]?_type=A,B&…`). Parameters must be known to
 * every type searched; without `_type` that is every type, so only `_id`, `_lastUpdated`, `_tag` and their like can be asked.
 */
export function parseSystemQuery(query: string | URLSearchParams, options: ParseOptions = {}): SearchQuery {
  const all = given(query);
  const named = all.filter(([name]) => name === '_type').flatMap(([, value]) => value.split(','));
  if (named.some((type) => !definitions().resourceTypes.includes(type)))
    throw badParameter('_type', '_type must be a list of resource types of FHIR R4.');
  const inside = options.compartment
    ? typesInCompartment(options.compartment.type)
    : definitions().resourceTypes;
  const types = named.length === 0 ? inside : inside.filter((type) => named.includes(type));
  return parsed(null, types, all, options);
}

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

function given(query: string | URLSearchParams): [string, string][] {
  const all = [...(typeof query === 'string' ? new URLSearchParams(query) : query)];
  if (mayBeLong(query, all) && String(query).length > QUERY_CHARACTERS_MAX)
    throw invalid(`A search may have ${QUERY_CHARACTERS_MAX} characters at most.`);
  if (all.length > QUERY_PARAMETERS_MAX)
    throw invalid(`A search may have ${QUERY_PARAMETERS_MAX} parameters at most.`);
  if (all.some((pair) => pair.some((text) => text.includes('\0'))))
    throw invalid('A search must not have the character U+0000.');
  return all.filter(([name, value]) => !OF_THE_DOOR.has(name) && value !== '');
}

/** A character of a URL's query at its longest: three bytes of UTF-8, each as `%XX`. */
const ENCODED_MAX = 9;

/** Printing a query again only to see that it is short is worth as much as reading it. */
const mayBeLong = (query: string | URLSearchParams, all: readonly [string, string][]): boolean =>
  typeof query === 'string' ||
  all.reduce((sum, [name, value]) => sum + (name.length + value.length) * ENCODED_MAX + 2, 0) >
    QUERY_CHARACTERS_MAX;

/** Read before the search is: they say how the answer is written. */
const OF_THE_DOOR: ReadonlySet<string> = new Set(['_format', '_pretty']);

function parsed(
  type: string | null,
  types: readonly string[],
  all: readonly (readonly [string, string])[],
  options: ParseOptions,
): SearchQuery {
  const controls = newControls();
  const filters = new Map<string, Filter[]>(types.map((one) => [one, inCompartment(one, options)]));
  const used: (readonly [string, string])[] = [];
  const ignored: string[] = [];
  for (const pair of options.lenient ? lenientPairs(all, types, ignored) : all) {
    const [name, value] = pair;
    try {
      if (name === '_cursor') readControl(controls, name, value, types);
      else if (name === '_type' && type === null) used.push(pair);
      else if (readControl(controls, name, value, types)) used.push(pair);
      else if (addFilters(filters, name, value)) used.push(pair);
      else if (options.lenient) ignored.push(nameOf(name));
      else throw unknownParameter(type, name);
    } catch (error) {
      throw atParameter(error, nameOf(name));
    }
  }
  const { cursor, ...rest } = controls;
  return {
    type,
    searches: [...filters].map(([one, of]) => ({ type: one, filters: of })),
    ...rest,
    after: cursor === null ? null : readCursor(cursor, controls.sort),
    used,
    ignored: ignored.filter((name) => name !== ''),
  };
}

/** What a lenient search reads; the rest is added to `ignored`. */
function lenientPairs(
  all: readonly (readonly [string, string])[],
  types: readonly string[],
  ignored: string[],
): (readonly [string, string])[] {
  return all.flatMap(([name, value]) => {
    const left = lenientControl(name, value, (code) => isSortable(types, code));
    ignored.push(...left.ignored);
    return left.value === null ? [] : [[name, left.value] as const];
  });
}

function inCompartment(type: string, { compartment }: ParseOptions): Filter[] {
  if (!compartment) return [];
  const filter = compartmentFilter({ type: compartment.type, ids: [compartment.id] }, type);
  if (!filter) throw invalid(`${type} is never in a compartment of this type.`);
  return [filter];
}

/** False when one of the types has no such parameter. */
function addFilters(filters: ReadonlyMap<string, Filter[]>, name: string, value: string): boolean {
  for (const [type, list] of filters) {
    const filter = parseFilter(type, name, value);
    if (!filter) return false;
    list.push(filter);
  }
  return true;
}

/** Published parameters that this server does not answer are named as such; others do not exist. */
function unknownParameter(type: string | null, name: string): Failure {
  const code = nameOf(name);
  const reason = Object.hasOwn(NOT_OFFERED, code) ? NOT_OFFERED[code] : undefined;
  if (reason !== undefined) return new Failure('fhir.unsupported', `${code} is not offered: ${reason}`);
  const bases = [type, 'Resource', 'DomainResource'];
  if (
    definitions().searchParameters.some(
      (one) => one.code === code && bases.some((base) => base !== null && one.base.includes(base)),
    )
  )
    return new Failure('fhir.unsupported', `The search parameter ${code} is not supported by this server.`);
  const named = code === '' ? 'search parameter of this name' : `search parameter "${code}"`;
  return invalid(
    type === null
      ? `Not every type searched has a ${named}; limit the types with _type, see /metadata.`
      : `${type} has no ${named}; see /metadata.`,
  );
}

/** The name when it is spelled as names of parameters are, else '': anything else may be a value in the wrong place. */
function nameOf(name: string): string {
  const code = name.split(/[:.]/)[0] ?? '';
  return /^_?[a-z][a-zA-Z]{0,40}(-[a-z]{1,40}){0,4}$/.test(code) ? code : '';
}

/** R4 search.html: parameters that this server leaves out, and what to do instead. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  _text: 'narrative is not searched; ask by code, identifier or name.',
  _content: 'resources are not searched as text; ask by code, identifier or name.',
  _filter: 'give each condition as a parameter of its own.',
  _query: 'there are no named queries.',
  _list: 'read the List and ask by _id.',
  _containedType: 'contained resources are not searched.',
  _score: 'matches have no rank.',
  _type: 'a search of one type has its type in the URL.',
};
