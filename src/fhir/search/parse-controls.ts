import { Failure } from '../../kernel/errors.ts';
import { sources } from './parameter-sources.ts';
import { parseInclude } from './parse-include.ts';
import { type ParameterKind, searchParametersOf } from './search-parameters.ts';
import type { Include, SearchQuery, SortRule } from './search-query.ts';

/** R4 leaves the page size to the server. */
export const PAGE_ENTRIES = 50;
/** A larger `_count` is answered with pages of this size (R4 search.html#count allows fewer, never more). */
export const PAGE_ENTRIES_MAX = 1_000;
/** Each is one more search of the page. */
export const INCLUDES_MAX = 10;
/** Each is a value to find for every match. */
export const SORT_RULES_MAX = 3;

/** What the parameters that shape the answer leave (R4 search.html#return). */
export type Controls = Pick<SearchQuery, 'sort' | 'count' | 'total' | 'countOnly' | 'includes'> & {
  readonly cursor: string | null;
};

type Draft = { -readonly [K in keyof Controls]: Controls[K] } & { includes: Include[] };

export const newControls = (): Draft => ({
  sort: [],
  count: PAGE_ENTRIES,
  total: 'none',
  countOnly: false,
  includes: [],
  cursor: null,
});

/** Reads one of them into `draft`; false: the name is none of them. Throws `fhir.invalid`, `fhir.unsupported`. */
export function readControl(draft: Draft, name: string, value: string, types: readonly string[]): boolean {
  if (/^_sort:/.test(name)) throw invalid('_sort takes no modifier; for descending order write _sort=-date.');
  const bare = name.replace(/^(_include|_revinclude):.*$/s, '$1');
  if (!Object.hasOwn(CONTROLS, bare)) return false;
  CONTROLS[bare as keyof typeof CONTROLS](draft, value, types, name);
  return true;
}

const invalid = (text: string): Failure => new Failure('fhir.invalid', text);

const CONTROLS = {
  _count(draft: Draft, value: string): void {
    if (!/^\d{1,6}$/.test(value))
      throw invalid('_count must be a whole number of 1 to 6 digits, such as 50.');
    draft.count = Math.min(Number(value), PAGE_ENTRIES_MAX);
    if (draft.count === 0) draft.countOnly = true;
  },
  _total(draft: Draft, value: string): void {
    if (value !== 'none' && value !== 'estimate' && value !== 'accurate')
      throw invalid('_total must be none, estimate or accurate.');
    draft.total = value;
  },
  /** The other summaries and `_elements` cut the resources of the answer; which are found is the same. */
  _summary(draft: Draft, value: string): void {
    if (!['true', 'text', 'data', 'count', 'false'].includes(value))
      throw invalid('_summary must be true, text, data, count or false.');
    draft.countOnly ||= value === 'count';
  },
  _elements(): void {},
  _contained(_: Draft, value: string): void {
    if (value !== 'false')
      throw new Failure(
        'fhir.unsupported',
        'Contained resources are not searched; _contained may be false only.',
      );
  },
  _sort(draft: Draft, value: string, types: readonly string[]): void {
    const rules = value.split(',').map((rule) => sortRule(types, rule));
    rules.unshift(...draft.sort);
    if (rules.length > SORT_RULES_MAX) throw invalid(`_sort may have ${SORT_RULES_MAX} parts at most.`);
    draft.sort = rules;
  },
  _cursor(draft: Draft, value: string): void {
    draft.cursor = value;
  },
  _include: addInclude,
  _revinclude: addInclude,
} as const satisfies Record<
  string,
  (draft: Draft, value: string, types: readonly string[], name: string) => void
>;

/** R4 search.html#sort */
function sortRule(types: readonly string[], rule: string): SortRule {
  const descending = rule.startsWith('-');
  const code = descending ? rule.slice(1) : rule;
  if (!isSortable(types, code))
    throw new Failure(
      'fhir.unsupported',
      '_sort goes by _id, _lastUpdated or parameters of every searched type, composite and special ones left out.',
    );
  return { code, descending };
}

const SORTED: ReadonlySet<ParameterKind> = new Set([
  'date',
  'string',
  'number',
  'quantity',
  'token',
  'reference',
  'uri',
] as const);

/** R4 search.html#sort: whether each of the types has the parameter, and it is of a kind that has an order. */
export const isSortable = (types: readonly string[], code: string): boolean =>
  types.every((type) => isSorted(type, code));

function isSorted(type: string, code: string): boolean {
  const parameter = searchParametersOf(type).get(code);
  if (!parameter) return false;
  const all = sources(parameter).map(({ source }) => source.kind);
  return all.every((kind) => SORTED.has(kind) && kind === all[0]);
}

function addInclude(draft: Draft, value: string, types: readonly string[], name: string): void {
  if (draft.includes.length >= INCLUDES_MAX)
    throw invalid(`A search may have ${INCLUDES_MAX} includes at most.`);
  draft.includes.push(parseInclude(name, value, types));
}
