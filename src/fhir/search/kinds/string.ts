import { Failure } from '../../../kernel/errors.ts';
import { existsIn } from '../exists-in.ts';
import type { SearchKind } from '../search-kind.ts';

/** Longer texts are found by their beginning; an index entry has to fit on a page. */
export const STRING_CHARACTERS_MAX = 300;
/** `:contains` cannot use the index; with one or two letters it would match nearly everything. */
export const CONTAINS_CHARACTERS_MIN = 3;

/**
 * R4 search.html#string: starts with, whatever the case and the accents; `:contains` anywhere, `:exact` letter by letter. Text from
 * a request is never a pattern: `%` and `_` stand for themselves.
 */
export const stringKind: SearchKind = {
  modifiers: ['exact', 'contains'],

  index(parameter, values, into) {
    const texts = new Set(values.flatMap(({ value }) => textsOf(value)));
    for (const text of texts) {
      const exact = text.slice(0, STRING_CHARACTERS_MAX);
      into.strings.push({ param: parameter.code, value: folded(exact), exact });
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) => {
      const value = folded(text.slice(0, STRING_CHARACTERS_MAX));
      if (filter.modifier === 'exact') {
        const exact = parameters.add(text.slice(0, STRING_CHARACTERS_MAX), 'text');
        return `(s.value = ${parameters.add(value, 'text')} AND s.exact = ${exact})`;
      }
      if (filter.modifier === 'contains') {
        if (value.length < CONTAINS_CHARACTERS_MIN) {
          throw new Failure(
            'fhir.invalid',
            `:contains needs at least ${CONTAINS_CHARACTERS_MIN} characters.`,
          );
        }
        return `s.value LIKE ${parameters.add(`%${literal(value)}%`, 'text')}`;
      }
      return `s.value LIKE ${parameters.add(`${literal(value)}%`, 'text')}`;
    });
    return existsIn('search_string', filter.parameter, on, parameters, conditions);
  },
};

const literal = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/** Lower case without accents; runs of white space are one blank. Cut again: taking a ligature apart makes a text longer. */
export const folded = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, STRING_CHARACTERS_MAX);

/** The parts of a HumanName or Address that can be searched (R4 search.html#string); for anything else the text itself. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return value.trim() === '' ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return SEARCHED_PARTS.flatMap((part) => (value as Record<string, unknown>)[part] ?? []).flatMap(textsOf);
}

const SEARCHED_PARTS = [
  'text',
  'family',
  'given',
  'prefix',
  'suffix',
  'line',
  'city',
  'district',
  'state',
  'postalCode',
  'country',
];
