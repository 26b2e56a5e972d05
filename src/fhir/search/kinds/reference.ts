import type { Reference } from '@medplum/fhirtypes';
import { Failure } from '../../../kernel/errors.ts';
import { definitions } from '../../definitions/definitions.ts';
import { cutToken } from '../index-rows.ts';
import type { SearchKind, ValueFilter } from '../search-kind.ts';
import { addToken } from './token.ts';

/**
 * R4 search.html#reference. Asked as `Patient/1`, `1`, an absolute URL (our own base counts as relative), with `:Patient`
 * and with `:identifier`. A version in a reference is not part of what is searched.
 */
export const referenceKind: SearchKind = {
  modifiers: ['identifier'],

  index(parameter, values, into, base) {
    const name = `${parameter.type}.${parameter.code}`;
    for (const { value } of values) {
      const reference = (typeof value === 'string' ? { reference: value } : value) as Reference | undefined;
      if (reference?.reference && !reference.reference.startsWith('#')) {
        for (const target of searchedForms(reference.reference, base))
          into.tokens.add(cutToken(`${name}>${target}`));
      }
      if (reference?.identifier) {
        addToken(
          `${name}:`,
          { system: reference.identifier.system ?? '', code: reference.identifier.value },
          into,
        );
      }
    }
  },

  condition(filter, on, parameters) {
    const name = `${filter.parameter.type}.${filter.parameter.code}`;
    const entries =
      filter.modifier === 'identifier'
        ? filter.values.map((value) => `${name}:${value.includes('|') ? '@' : '#'}${value}`)
        : filter.values
            .flatMap((value) => targets(filter, value, on.base))
            .map((target) => `${name}>${target}`);
    return `${on.alias}.tokens && ${parameters.add(entries.map(cutToken), 'text[]')}`;
  },
};

/** `http://own/fhir/Patient/1/_history/2` → `Patient/1`; a canonical `url|version` is found by url too. */
export function searchedForms(reference: string, base: string): string[] {
  const relative = reference.startsWith(`${base}/`) ? reference.slice(base.length + 1) : reference;
  const plain = relative.replace(/\/_history\/[^/]+$/, '');
  const bar = plain.indexOf('|');
  return bar > 0 ? [plain, plain.slice(0, bar)] : [plain];
}

function targets(filter: ValueFilter, value: string, base: string): string[] {
  const only = filter.targetType ?? (isType(filter.modifier) ? filter.modifier : null);
  const plain = searchedForms(value, base)[0] ?? value;
  if (/^[A-Za-z0-9\-.]{1,64}$/.test(plain)) {
    const types = only ? [only] : filter.parameter.targets;
    return (types.length > 0 ? types : definitions().resourceTypes).map((type) => `${type}/${plain}`);
  }
  return only === null || !/^[A-Z][A-Za-z]+\//.test(plain) || plain.startsWith(`${only}/`) ? [plain] : [];
}

const isType = (modifier: string | null): modifier is string => modifier !== null && /^[A-Z]/.test(modifier);

/** `Patient/1` in two; throws `fhir.invalid` for anything else. */
export function splitReference(reference: string): { type: string; id: string } {
  const match = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/.exec(reference);
  if (!match?.[1] || !match[2]) throw new Failure('fhir.invalid', 'A reference must look like Type/id.');
  return { type: match[1], id: match[2] };
}
