import { definitions } from '../definitions/definitions.ts';
import { searchParametersOf } from './search-parameters.ts';

/** What of one parameter a lenient search reads, and what it leaves out. */
export interface LenientControl {
  /** What is left to read; null: nothing. */
  readonly value: string | null;
  /** As `_sort=name`, or the name of the control alone where its value is not spelled as such names are. */
  readonly ignored: readonly string[];
}

/**
 * R4 search.html#errors and http.html#handling: with `Prefer: handling=lenient` a `_sort`, `_include`, `_revinclude` or `_contained` that asks for what is not here
 * is left out and named, as an unknown search parameter is. What is malformed stays and is refused where it is read.
 *
 * @param isSortable whether every type searched can be sorted by the code
 */
export function lenientControl(
  name: string,
  value: string,
  isSortable: (code: string) => boolean,
): LenientControl {
  if (name === '_sort') return withoutUnknownRules(value, isSortable);
  const isUnknown =
    name === '_contained' ? value === 'true' || value === 'both' : INCLUDE.test(name) && leadsNowhere(value);
  if (!isUnknown) return { value, ignored: [] };
  const told = name.split(':', 1)[0] as string;
  return { value: null, ignored: [SPELLED.test(value) ? `${told}=${value}` : told] };
}

const INCLUDE = /^(?:_include|_revinclude)(?::iterate)?$/;

/** Of a parameter, with a type before it or not: anything else may be a value in the wrong place. */
const SPELLED = /^(?:[A-Z][A-Za-z]{1,40}:)?_?[a-z][a-zA-Z]{0,40}(?:-[a-z]{1,40}){0,4}$/;

function withoutUnknownRules(value: string, isSortable: (code: string) => boolean): LenientControl {
  const rules = value.split(',');
  const codeOf = (rule: string): string => (rule.startsWith('-') ? rule.slice(1) : rule);
  const unknown = rules.filter((rule) => codeOf(rule) !== '' && !isSortable(codeOf(rule)));
  if (unknown.length === 0) return { value, ignored: [] };
  const kept = rules.filter((rule) => !unknown.includes(rule));
  const told = unknown.map(codeOf).map((code) => (SPELLED.test(code) ? `_sort=${code}` : '_sort'));
  return { value: kept.length === 0 ? null : kept.join(','), ignored: [...new Set(told)] };
}

/** `*`, a type that R4 does not know, or a parameter that the type does not have. A parameter that is no reference is a mistake, and is refused. */
function leadsNowhere(value: string): boolean {
  const [source = '', code = ''] = value.split(':');
  if (source === '*' || code === '*') return true;
  if (source === '' || code === '') return false;
  return !definitions().resourceTypes.includes(source) || !searchParametersOf(source).has(code);
}
