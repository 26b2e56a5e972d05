import type { TypedValueWithPath } from '@medplum/core';
import type { CodeableConcept, Coding } from '@medplum/fhirtypes';
import type { FailureIssue } from '../../kernel/errors.ts';
import { definitions, type RequiredSet } from '../definitions/definitions.ts';

/**
 * R4 terminologies.html#required: the values the validator collected, held against the value sets that bind them. Sets that cannot be
 * listed (mime types, currencies, UCUM) are not checked.
 */
export function checkBindings(
  tokens: Readonly<Record<string, readonly TypedValueWithPath[]>>,
): FailureIssue[] {
  return Object.entries(tokens).flatMap(([url, values]) => {
    const set = definitions().requiredSets.get(url.replace(/\|.*$/, ''));
    if (!set) return [];
    return values
      .filter((value) => !allowed(value, set))
      .map((value) => ({
        text: 'The code is not in the required value set.',
        at: value.path,
        type: 'code-invalid',
      }));
  });
}

function allowed({ type, value }: TypedValueWithPath, set: RequiredSet): boolean {
  if (typeof value === 'string') return set.codes.has(value);
  if (typeof value !== 'object' || value === null) return true;
  if (type === 'CodeableConcept') {
    const codings = (value as CodeableConcept).coding ?? [];
    return codings.length === 0 || codings.some((coding) => codingAllowed(coding, set));
  }
  if (type === 'Coding') return codingAllowed(value as Coding, set);
  return true;
}

const codingAllowed = ({ system, code }: Coding, set: RequiredSet): boolean =>
  code === undefined || (system === undefined ? set.codes.has(code) : set.codings.has(`${system}|${code}`));
