import type { TypedValue } from '@medplum/core';
import type { Coding } from '@medplum/fhirtypes';
import { cutToken, type IndexRows } from '../index-rows.ts';
import type { SearchKind } from '../search-kind.ts';

/**
 * R4 search.html#token. Codes compare by letter case as written. Asked as `code`, `system|code`, `|code` (no system) or `system|`.
 */
export const tokenKind: SearchKind = {
  modifiers: ['not'],

  index(parameter, values, into) {
    const name = `${parameter.type}.${parameter.code}`;
    for (const value of values) {
      for (const token of tokensOf(value)) addToken(name, token, into);
    }
  },

  condition(filter, on, parameters) {
    const name = `${filter.parameter.type}.${filter.parameter.code}`;
    const entries: string[] = [];
    const anyOf: string[] = [];
    for (const value of filter.values) {
      const bar = value.indexOf('|');
      if (bar === -1) entries.push(cutToken(`${name}#${value}`));
      else if (bar === value.length - 1) anyOf.push(cutToken(`${name}@${value}`));
      else entries.push(cutToken(`${name}@${value}`));
    }
    // `system|` is rare: it is answered by looking through the row's entries, not by an entry of its own in every row.
    const parts = anyOf.map((start) => hasEntryThatStarts(on.alias, parameters.add(start, 'text')));
    if (entries.length > 0) parts.push(`${on.alias}.tokens && ${parameters.add(entries, 'text[]')}`);
    const any = `(${parts.join(' OR ')})`;
    return filter.modifier === 'not' ? `NOT ${any}` : any;
  },
};

export function hasEntryThatStarts(alias: string, placeholder: string): string {
  return `EXISTS (SELECT 1 FROM unnest(${alias}.tokens) entry WHERE starts_with(entry, ${placeholder}))`;
}

/** Adds the entries by which a coding, an identifier or a plain code is found. `name` is `Type.parameter`. */
export function addToken(name: string, token: Coding, into: IndexRows): void {
  if (token.code === undefined || token.code === '') return;
  into.tokens.add(cutToken(`${name}#${token.code}`));
  // A plain code has an implied system that is not in the resource; it is found by code alone.
  if (token.system !== undefined) into.tokens.add(cutToken(`${name}@${token.system}|${token.code}`));
}

/** System `''` means: there is none (found by `|code`); undefined: a primitive, whose system is implied by its binding. */
export function tokensOf({ type, value }: TypedValue): Coding[] {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [{ code: String(value) }];
  switch (type) {
    case 'CodeableConcept':
      return ((value.coding as Coding[] | undefined) ?? []).map(systemAndCode);
    case 'Identifier':
      return [{ system: value.system ?? '', code: value.value }];
    case 'ContactPoint':
      return [{ code: value.value }];
    case 'Quantity':
      return [{ system: value.system ?? '', code: value.code }];
    default:
      return [systemAndCode(value)];
  }
}

const systemAndCode = (coding: Coding): Coding => ({ system: coding.system ?? '', code: coding.code });
