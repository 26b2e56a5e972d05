import { Failure } from '../../kernel/errors.ts';
import { parseFilter } from './parse-filter.ts';
import { searchParametersOf } from './search-parameters.ts';
import type { Filter, Include, SearchQuery, SortRule } from './search-query.ts';

/** R4 leaves the page size to the server. */
export const PAGE_ENTRIES = 50;
export const PAGE_ENTRIES_MAX = 1_000;
/** More would make one request as dear as many. */
export const QUERY_PARAMETERS_MAX = 40;
export const QUERY_CHARACTERS_MAX = 8_000;
export const INCLUDES_MAX = 10;
export const SORT_RULES_MAX = 3;

export interface ParseOptions {
  /** `Prefer: handling=lenient`: unknown parameters are ignored. */
  readonly lenient?: boolean;
}

/**
 * Reads a search of one type. R4 search.html: unknown parameters and values that mean nothing are refused (`fhir.invalid`), since an
 * ignored filter would answer with too much; `lenient` ignores unknown parameters only.
 */
export function parseQuery(
  type: string,
  query: string | URLSearchParams,
  options: ParseOptions = {},
): SearchQuery {
  const text = String(query);
  if (text.length > QUERY_CHARACTERS_MAX)
    throw invalid(`A search may have ${QUERY_CHARACTERS_MAX} characters at most.`);
  const given = [...(typeof query === 'string' ? new URLSearchParams(query) : query)];
  if (given.length > QUERY_PARAMETERS_MAX)
    throw invalid(`A search may have ${QUERY_PARAMETERS_MAX} parameters at most.`);
  const draft: Draft = { ...EMPTY, type, filters: [], includes: [], used: [] };
  for (const [name, value] of given) {
    if (value.includes('\0') || name.includes('\0'))
      throw invalid('A search must not have the character U+0000.');
    if (name === '_format' || name === '_pretty' || value === '') continue;
    if (readControl(draft, name, value)) continue;
    const filter = parseFilter(type, name, value);
    if (filter) {
      draft.filters.push(filter);
      draft.used.push([name, value]);
    } else if (!options.lenient) {
      throw unknownParameter(type, name);
    }
  }
  return draft;
}

/** The name is given back when it is spelled as names of parameters are: anything else may be a value in the wrong place. */
function unknownParameter(type: string, name: string): Failure {
  if (NOT_OFFERED.has(name)) {
    return new Failure(
      'fhir.unsupported',
      `${name} is not supported: a search answers with whole resources.`,
    );
  }
  const code = name.split(/[:.]/)[0] ?? '';
  const named = /^_?[a-z][a-zA-Z]{0,40}(-[a-z]{1,40}){0,4}$/.test(code)
    ? `search parameter "${code}"`
    : 'search parameter of this name';
  return invalid(`${type} has no ${named}; see /metadata.`);
}

/** R4 search.html#return: parameters of the answer that this server leaves out. */
const NOT_OFFERED: ReadonlySet<string> = new Set(['_elements', '_contained', '_containedType', '_score']);

type Draft = { -readonly [K in keyof SearchQuery]: SearchQuery[K] } & {
  filters: Filter[];
  includes: Include[];
  used: [string, string][];
};

const EMPTY = {
  filters: [],
  sort: [] as SortRule[],
  count: PAGE_ENTRIES,
  total: false,
  countOnly: false,
  after: null,
};

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

/** The parameters that shape the answer. False: the name is none of them. */
function readControl(draft: Draft, name: string, value: string): boolean {
  const read = CONTROLS[name as keyof typeof CONTROLS];
  if (!Object.hasOwn(CONTROLS, name)) return false;
  read(draft, value);
  if (name !== '_cursor') draft.used.push([name, value]);
  return true;
}

const CONTROLS = {
  _count(draft: Draft, value: string): void {
    if (!/^\d{1,6}$/.test(value)) throw invalid('_count must be a whole number.');
    draft.count = Math.min(Number(value), PAGE_ENTRIES_MAX);
    if (draft.count === 0) draft.countOnly = true;
  },
  _total(draft: Draft, value: string): void {
    if (!['none', 'estimate', 'accurate'].includes(value))
      throw invalid('_total must be none, estimate or accurate.');
    draft.total = value !== 'none';
  },
  _summary(draft: Draft, value: string): void {
    if (value === 'false') return;
    if (value !== 'count')
      throw new Failure(
        'fhir.unsupported',
        '_summary may be count or false here; other summaries are not supported.',
      );
    draft.countOnly = true;
  },
  _sort(draft: Draft, value: string): void {
    const rules = value.split(',').map((rule) => sortRule(draft.type, rule));
    if (rules.length > SORT_RULES_MAX) throw invalid(`_sort may have ${SORT_RULES_MAX} parts at most.`);
    draft.sort = rules;
  },
  _cursor(draft: Draft, value: string): void {
    draft.after = readCursor(value);
  },
  _include: (draft: Draft, value: string): void => addInclude(draft, value, false),
  _revinclude: (draft: Draft, value: string): void => addInclude(draft, value, true),
};

function sortRule(type: string, rule: string): SortRule {
  const descending = rule.startsWith('-');
  const code = descending ? rule.slice(1) : rule;
  const sortable =
    code === '_id' || code === '_lastUpdated' || searchParametersOf(type).get(code)?.kind === 'date';
  if (!sortable)
    throw new Failure('fhir.unsupported', `_sort of ${type} goes by _id, _lastUpdated or a date parameter.`);
  return { code, descending };
}

function addInclude(draft: Draft, value: string, reverse: boolean): void {
  const [source = '', code = '', target] = value.split(':');
  const parameter = /^[A-Z][A-Za-z]+$/.test(source) ? searchParametersOf(source).get(code) : undefined;
  if (parameter?.kind !== 'reference' || (!reverse && source !== draft.type)) {
    throw invalid(
      `${reverse ? '_revinclude' : '_include'} must be Type:parameter with a reference parameter of that type.`,
    );
  }
  if (draft.includes.length >= INCLUDES_MAX)
    throw invalid(`A search may have ${INCLUDES_MAX} includes at most.`);
  draft.includes.push({ reverse, parameter, targetType: target ?? null });
}

/** A cursor says where a page ended. It holds no authority: changed by hand it only begins elsewhere. */
export function printCursor(values: readonly string[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

function readCursor(text: string): readonly string[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (Array.isArray(values) && values.length <= SORT_RULES_MAX + 1 && values.every(isCursorValue))
      return values as string[];
  } catch {
    // falls through to the refusal
  }
  throw invalid('The page link is damaged; start the search again.');
}

/** An id, or an instant as PostgreSQL prints it. */
const isCursorValue = (value: unknown): boolean =>
  typeof value === 'string' &&
  /^(-?infinity|[A-Za-z0-9\-.]{1,64}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[0-9.:+-]*)$/.test(value);
