import { cutToken } from '../index-rows.ts';
import type { SearchKind } from '../search-kind.ts';

/** R4 search.html#uri: the whole URI, letter by letter; a canonical with a version is found by its URL too. */
export const uriKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    for (const { value } of values) {
      if (typeof value !== 'string') continue;
      into.tokens.add(cutToken(`${parameter.type}.${parameter.code}>${value}`));
      const bar = value.indexOf('|');
      if (bar > 0) into.tokens.add(cutToken(`${parameter.type}.${parameter.code}>${value.slice(0, bar)}`));
    }
  },

  condition(filter, on, parameters) {
    const name = `${filter.parameter.type}.${filter.parameter.code}`;
    const entries = filter.values.map((value) => cutToken(`${name}>${value}`));
    return `${on.alias}.tokens && ${parameters.add(entries, 'text[]')}`;
  },
};
