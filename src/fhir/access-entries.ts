import { Failure } from '../kernel/errors.ts';
import { definitions } from './definitions/definitions.ts';
import { entriesOf } from './search/find-rows.ts';
import { sources } from './search/parameter-sources.ts';
import { parseFilter } from './search/parse-filter.ts';
import { BINARY_OWNER, searchParametersOf } from './search/search-parameters.ts';
import type { Filter } from './search/search-query.ts';

/**
 * What access rules need to know of the index: by which entries a resource is in a patient's compartment, carries a label, or meets the query of a
 * scope. All of them stand in `resource.tokens`, so a rule is a condition on one column whatever the type.
 */

/**
 * R4 compartmentdefinition-patient.html: the reference parameters, as they are indexed (`Observation.subject`), by which resources of the type are in a
 * patient's compartment. Empty: none ever is.
 */
export function patientHeads(type: string): string[] {
  const codes = definitions().compartments.get('Patient')?.get(type) ?? [];
  return [...new Set(codes.flatMap((code) => headsOf(type, code)))];
}

/** The entries that refer to the patient by one parameter, whether or not it is of the compartment. */
export const referenceHeads = (type: string, code: string): string[] => headsOf(type, code);

function headsOf(type: string, code: string): string[] {
  const parameter = searchParametersOf(type).get(code);
  if (parameter?.kind !== 'reference') return [];
  return sources(parameter)
    .filter(({ targetType }) => targetType === undefined || targetType === 'Patient')
    .map(({ source }) => `${source.type}.${source.code}`);
}

/** What the entry of a Binary begins with that says whose it is (R4 binary.html, `securityContext`): `Type/id` follows. */
export const BINARY_OWNER_HEAD = `Binary.${BINARY_OWNER}>`;

/** For a row whose type is known only when it is found: the entries by which a resource of any type is in the patient's compartment. */
export function anyPatientHeads(): string[] {
  anyHeads ??= definitions().resourceTypes.flatMap(patientHeads);
  return anyHeads;
}

let anyHeads: string[] | null = null;

/** The same for labels. */
export const anyLabelEntries = (code: string): string[] =>
  definitions().resourceTypes.map((type) => labelEntry(type, code));

/** The entry that a resource with this security label has, whatever the system of the code. */
export const labelEntry = (type: string, code: string): string => `${type}._security#${code}`;

/**
 * The query of a scope (SMART 2.2 "finer-grained resource constraints") for one type: of every list a resource must have an entry. Only parameters that are
 * held in entries can be: tokens, references and URIs, whole values.
 *
 * @throws Failure `auth.scope` naming what cannot be held
 */
export function scopeQueryEntries(type: string, query: string): string[][] {
  return query.split('&').map((part) => {
    const at = part.indexOf('=');
    const name = part.slice(0, at);
    const filter = searchParametersOf(type).has(name)
      ? parsed(type, name, decodeURIComponent(part.slice(at + 1)))
      : null;
    if (!filter)
      throw new Failure('auth.scope', `The query of a scope names no search parameter of ${type}.`);
    const entries = wholeEntries(filter, type);
    if (!entries)
      throw new Failure(
        'auth.scope',
        'The query of a scope takes token, reference and URI parameters with whole values, as in category=laboratory or category=http://…|laboratory.',
      );
    return [...entries];
  });
}

function parsed(type: string, name: string, value: string): Filter | null {
  try {
    return parseFilter(type, name, value);
  } catch {
    return null;
  }
}

function wholeEntries(filter: Filter, type: string): readonly string[] | null {
  return entriesOf(filter, { type, alias: 'r', base: '' })?.[0] ?? null;
}

/** Throws `auth.scope` unless FHIR R4 has the type. */
export function checkResourceType(type: string): void {
  if (type !== '*' && !definitions().resourceTypes.includes(type))
    throw new Failure('auth.scope', 'A scope names a resource type that FHIR R4 does not have.');
}

/** A parameter that every type has; only such go with `*`. */
export const isCommonParameter = (name: string): boolean =>
  ['_security', '_tag', '_profile', '_source'].includes(name);
