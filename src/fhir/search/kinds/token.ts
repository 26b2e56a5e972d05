import type { TypedValue } from '@medplum/core';
import type { Coding } from '@medplum/fhirtypes';
import { Failure } from '../../../kernel/errors.ts';
import { badParameter } from '../../at-parameter.ts';
import type { SqlParameters } from '../../sql-parameters.ts';
import { cutToken, type IndexRows } from '../index-rows.ts';
import type { SearchedRow, SearchKind, ValueFilter } from '../search-kind.ts';
import { splitValue, unescaped } from '../split-value.ts';
import { anyEntry } from './present.ts';
import { ofTypeCondition, textCondition } from './token-content.ts';

/**
 * R4 search.html#token. Codes compare by letter case as written. Asked as `code`, `system|code`, `|code` (no system) or `system|`.
 * `:in`, `:not-in`, `:above` and `:below` come here as the codes that `resolveTerminology` has put in their place.
 */
export const tokenKind: SearchKind = {
  modifiers: ['not', 'text', 'in', 'not-in', 'above', 'below', 'of-type'],

  index(parameter, values, into) {
    const name = `${parameter.type}.${parameter.code}`;
    for (const value of values) {
      for (const token of tokensOf(value)) addToken(name, token, into);
    }
  },

  condition(filter, on, parameters) {
    const { modifier } = filter;
    if (modifier === 'text') return textCondition(filter, on, parameters);
    if (modifier === 'of-type') return ofTypeCondition(filter, on, parameters);
    if (modifier !== null && modifier !== 'not') {
      throw new Failure('fhir.unsupported', `:${modifier} of ${filter.parameter.code} is not possible here.`);
    }
    const any = tokenCondition(`${filter.parameter.type}.${filter.parameter.code}`, filter, on, parameters);
    return modifier === 'not' ? `NOT ${any}` : any;
  },

  present: anyEntry,
};

/** A condition on the entries under `name`: any of the codes. */
export function tokenCondition(
  name: string,
  filter: Pick<ValueFilter, 'values'>,
  on: SearchedRow,
  parameters: SqlParameters,
): string {
  const entries: string[] = [];
  const anyOf: string[] = [];
  for (const value of filter.values) {
    // An empty number out of a template: it would find everything that has no system.
    if (value === '|')
      throw badParameter(name.split('.')[1] ?? '', 'A token needs a code, a system, or both: system|code.');
    const { entry, whole } = askedToken(value);
    (whole ? entries : anyOf).push(cutToken(`${name}${entry}`));
  }
  // `system|` is rare: it is answered by looking through the row's entries, not by an entry of its own in every row.
  const parts = anyOf.map((start) => hasEntryThatStarts(on.alias, parameters.add(start, 'text')));
  if (entries.length > 0) parts.push(`${on.alias}.tokens && ${parameters.add(entries, 'text[]')}`);
  // An empty value set.
  return parts.length === 0 ? 'FALSE' : `(${parts.join(' OR ')})`;
}

/** The entry that answers `code`, `system|code` or `|code`; for `system|` (not `whole`) how such entries begin. */
export function askedToken(value: string): { entry: string; whole: boolean } {
  const [first = '', ...rest] = splitValue(value, '|').map(unescaped);
  if (rest.length === 0) return { entry: `#${first}`, whole: true };
  const code = rest.join('|');
  return { entry: `@${first}|${code}`, whole: code !== '' };
}

export function hasEntryThatStarts(alias: string, placeholder: string): string {
  return `EXISTS (SELECT 1 FROM unnest(${alias}.tokens) entry WHERE starts_with(entry, ${placeholder}))`;
}

/** Adds the entries by which a coding, an identifier or a plain code is found. `name` is `Type.parameter`. */
export function addToken(name: string, token: Coding, into: IndexRows): void {
  for (const entry of entriesOfToken(token)) into.tokens.add(cutToken(`${name}${entry}`));
}

/** `#code`, and `@system|code` where the resource says (or says it has no) system: a plain code's system is implied, not written. */
export function entriesOfToken({ system, code }: Coding): string[] {
  if (code === undefined || code === '') return [];
  return system === undefined ? [`#${code}`] : [`#${code}`, `@${system}|${code}`];
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
