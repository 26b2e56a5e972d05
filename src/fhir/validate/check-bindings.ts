import type { RequiredSet } from '../definitions/definitions.ts';
import type { JsonObject } from './invariant.ts';

/**
 * R4 terminologies.html#required: is the value (code, Coding, CodeableConcept, Quantity) in the value set that binds it? A concept needs one coding that is; its
 * text stands beside that coding, never for it.
 */
export function checkBinding(value: unknown, type: string, set: RequiredSet): boolean {
  if (typeof value === 'string') return set.codes.has(value);
  if (typeof value !== 'object' || value === null) return true;
  const object = value as JsonObject;
  if (type === 'CodeableConcept') {
    const codings = Array.isArray(object['coding']) ? (object['coding'] as JsonObject[]) : [];
    return codings.some((coding) => typeof coding?.['code'] === 'string' && codingAllowed(coding, set));
  }
  return type === 'Coding' || type === 'Quantity' ? codingAllowed(object, set) : true;
}

function codingAllowed(coding: JsonObject, set: RequiredSet): boolean {
  const { system, code } = coding ?? {};
  if (typeof code !== 'string') return true;
  return system === undefined ? set.codes.has(code) : set.codings.has(`${String(system)}|${code}`);
}

export const WORDS_ONLY = 'A coding of the required value set is needed; words alone do not take its place.';

/** A CodeableConcept without any code: words, or nothing but extensions. A required binding refuses it, an extensible one has nothing to say. */
export function isWordsOnly(value: unknown, type: string): boolean {
  if (type !== 'CodeableConcept' || typeof value !== 'object' || value === null) return false;
  const { coding } = value as JsonObject;
  return (
    !Array.isArray(coding) || !coding.some((one) => typeof (one as JsonObject | null)?.['code'] === 'string')
  );
}
