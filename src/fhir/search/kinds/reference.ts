import type { Reference } from '@medplum/fhirtypes';
import { definitions } from '../../definitions/definitions.ts';
import { cutToken } from '../index-rows.ts';
import type { SearchKind, ValueFilter } from '../search-kind.ts';
import type { SearchParameter } from '../search-parameters.ts';
import { unescaped } from '../split-value.ts';
import { anyEntry } from './present.ts';
import { addToken, tokenCondition } from './token.ts';

/**
 * R4 search.html#reference. Asked as `Patient/1`, `1`, an absolute URL (our own base counts as relative), a canonical with or without its
 * version, with `:Patient` and with `:identifier`. A version in a reference is not part of what is searched.
 */
export const referenceKind: SearchKind = {
  modifiers: ['identifier'],

  index(parameter, values, into, base) {
    const name = `${parameter.type}.${parameter.code}`;
    for (const { value } of values) {
      for (const target of referenceForms(value, base)) into.tokens.add(cutToken(`${name}>${target}`));
      const identifier = (value as Reference | undefined)?.identifier;
      // A resource that stands in the place of a reference (`Bundle.entry.resource`) has identifiers too, in a list.
      if (typeof identifier === 'object' && !Array.isArray(identifier)) {
        addToken(`${name}:`, { system: identifier.system ?? '', code: identifier.value }, into);
      }
    }
  },

  condition(filter, on, parameters) {
    const name = `${filter.parameter.type}.${filter.parameter.code}`;
    if (filter.modifier === 'identifier') return tokenCondition(`${name}:`, filter, on, parameters);
    const entries = filter.values
      .flatMap((value) =>
        askedTargets(
          filter.parameter,
          unescaped(value),
          on.base,
          filter.targetType ?? typeModifier(filter.modifier),
        ),
      )
      .map((target) => cutToken(`${name}>${target}`));
    return `${on.alias}.tokens && ${parameters.add(entries, 'text[]')}`;
  },

  present(parameter, on, parameters, targetType) {
    return anyEntry(parameter, on, parameters, targetType ? `>${targetType}/` : null);
  },
};

/** The forms by which a reference, a canonical, or a resource in a reference's place is found. */
export function referenceForms(value: unknown, base: string): string[] {
  if (typeof value === 'string') return searchedForms(value, base);
  const { reference, resourceType, id } = (value ?? {}) as Reference & { resourceType?: string; id?: string };
  if (resourceType !== undefined && id !== undefined) return [`${resourceType}/${id}`];
  return typeof reference === 'string' && !reference.startsWith('#') ? searchedForms(reference, base) : [];
}

/** `http://own/fhir/Patient/1/_history/2` → `Patient/1`; a canonical `url|version` is found by url too. */
function searchedForms(reference: string, base: string): string[] {
  const relative = reference.startsWith(`${base}/`) ? reference.slice(base.length + 1) : reference;
  const plain = relative.replace(/\/_history\/[^/]+$/, '');
  const bar = plain.indexOf('|');
  return bar > 0 ? [plain, plain.slice(0, bar)] : [plain];
}

/** What is looked for when a reference is asked for by `value`; `only`: limited to this type. */
export function askedTargets(
  parameter: SearchParameter,
  value: string,
  base: string,
  only: string | null,
): string[] {
  const plain = searchedForms(value, base)[0] ?? value;
  if (/^[A-Za-z0-9\-.]{1,64}$/.test(plain)) {
    const types = only ? [only] : parameter.targets;
    return (types.length > 0 ? types : definitions().resourceTypes).map((type) => `${type}/${plain}`);
  }
  return only === null || !/^[A-Z][A-Za-z]+\//.test(plain) || plain.startsWith(`${only}/`) ? [plain] : [];
}

const typeModifier = (modifier: ValueFilter['modifier']): string | null =>
  modifier !== null && /^[A-Z]/.test(modifier) ? modifier : null;
