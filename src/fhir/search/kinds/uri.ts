import { Failure } from '../../../kernel/errors.ts';
import { cutToken } from '../index-rows.ts';
import type { SearchKind } from '../search-kind.ts';
import { unescaped } from '../split-value.ts';
import { anyEntry } from './present.ts';
import { hasEntryThatStarts } from './token.ts';

/**
 * R4 search.html#uri: the whole URI, letter by letter; a canonical with a version is found by its URL too. `:below`: everything under a URL,
 * in steps of its path; `:above`: everything it lies under. URNs have no such steps.
 */
export const uriKind: SearchKind = {
  modifiers: ['above', 'below'],

  index(parameter, values, into) {
    for (const { value } of values) {
      if (typeof value !== 'string') continue;
      into.tokens.add(cutToken(`${parameter.type}.${parameter.code}>${value}`));
      const bar = value.indexOf('|');
      if (bar > 0) into.tokens.add(cutToken(`${parameter.type}.${parameter.code}>${value.slice(0, bar)}`));
    }
  },

  condition(filter, on, parameters) {
    const name = `${filter.parameter.type}.${filter.parameter.code}>`;
    const asked = filter.values.map(unescaped);
    const among = (uris: readonly string[]): string =>
      `${on.alias}.tokens && ${parameters.add(
        uris.map((uri) => cutToken(`${name}${uri}`)),
        'text[]',
      )}`;
    if (filter.modifier === null) return among(asked);
    const urls = asked.map(demandUrl);
    if (filter.modifier === 'above') return among(urls.flatMap((url) => [url, `${url}/`, ...parents(url)]));
    const under = urls.map((url) => hasEntryThatStarts(on.alias, parameters.add(`${name}${url}/`, 'text')));
    return `(${[among(urls), ...under].join(' OR ')})`;
  },

  present: anyEntry,
};

/** Without the slash at its end. */
function demandUrl(uri: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(uri)) {
    throw new Failure('fhir.invalid', ':above and :below want a URL such as http://example.org/fhir.');
  }
  return uri.replace(/\/+$/, '');
}

/** `http://a/b/c` → `http://a/b`, `http://a`, each with and without the slash at its end. */
function parents(url: string): string[] {
  const host = url.indexOf('/', url.indexOf('://') + 3);
  const all: string[] = [];
  for (let at = url.lastIndexOf('/'); host !== -1 && at >= host; at = url.lastIndexOf('/', at - 1)) {
    all.push(url.slice(0, at), url.slice(0, at + 1));
  }
  return all;
}
