import type { RequiredSet } from '../definitions/definitions.ts';
import type { JsonObject } from './invariant.ts';

/**
 * R4 terminologies.html#required: is the value (code, Coding, CodeableConcept, Quantity) in the value set that binds it? A concept needs one coding that is; with
 * text only it passes, as no base definition demands a coding.
 */
export function checkBinding(value: unknown, type: string, set: RequiredSet): boolean {
  if (typeof value === 'string') return set.codes.has(value);
  if (typeof value !== 'object' || value === null) return true;
  const object = value as JsonObject;
  if (type === 'CodeableConcept') {
    const codings = Array.isArray(object['coding']) ? (object['coding'] as JsonObject[]) : [];
    return codings.length === 0 || codings.some((coding) => codingAllowed(coding, set));
  }
  return type === 'Coding' || type === 'Quantity' ? codingAllowed(object, set) : true;
}

function codingAllowed(coding: JsonObject, set: RequiredSet): boolean {
  const { system, code } = coding ?? {};
  if (typeof code !== 'string') return true;
  return system === undefined ? set.codes.has(code) : set.codings.has(`${String(system)}|${code}`);
}
