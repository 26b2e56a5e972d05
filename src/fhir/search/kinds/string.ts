import { Failure } from '../../../kernel/errors.ts';
import { existsIn } from '../exists-in.ts';
import type { SearchKind } from '../search-kind.ts';
import { unescaped } from '../split-value.ts';
import { rowOrMark } from './present.ts';

/** Longer texts are found by their beginning; an index entry has to fit on a page. */
export const STRING_CHARACTERS_MAX = 300;
/** The trigram index knows nothing shorter; one or two letters would match nearly everything. */
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
    const conditions = filter.values.map((given) => {
      const text = unescaped(given);
      const value = folded(text.slice(0, STRING_CHARACTERS_MAX));
      const add = (asked: string): string => parameters.add(asked, 'text');
      if (filter.modifier === 'exact') {
        return `(s.value = ${add(value)} AND s.exact = ${add(text.slice(0, STRING_CHARACTERS_MAX))})`;
      }
      if (filter.modifier === 'contains') {
        if (value.length < CONTAINS_CHARACTERS_MIN) {
          throw new Failure(
            'fhir.invalid',
            `:contains needs at least ${CONTAINS_CHARACTERS_MIN} characters.`,
          );
        }
        return `s.value LIKE ${add(`%${literal(value)}%`)}`;
      }
      // A range, no pattern: it uses the index whatever plan PostgreSQL has kept for the statement.
      return `(s.value >= ${add(value)} AND s.value < ${add(`${value}${LAST}`)})`;
    });
    return existsIn('search_string', filter.parameter, on, parameters, conditions);
  },

  present: (parameter, on, parameters) => rowOrMark('search_string', parameter, on, parameters),
};

/** No text goes on with this character: it is none. In byte order (collation C) all others come before it. */
const LAST = '\u{10ffff}';

const literal = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/**
 * Lower case without accents; runs of white space are one blank. Cut again: taking a ligature apart makes a text longer. `fhir_folded` in
 * migration 0008 does the same in SQL.
 */
export function folded(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase().trim();
  return text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[ßøłđðþæœı]/g, (letter) => LETTERS[letter] ?? letter)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, STRING_CHARACTERS_MAX);
}

/** Most texts by far: ASCII with single blanks. */
const PLAIN = /^(?:[!-~]| (?! ))*$/;

/** Letters that Unicode does not take apart, as people type them without the key. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ ß: 'ss', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', æ: 'ae', œ: 'oe', ı: 'i' },
};

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
