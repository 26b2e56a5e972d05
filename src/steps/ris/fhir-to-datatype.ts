import type { CodeableConcept, Coding, Identifier, Reference } from '@medplum/fhirtypes';
import { authorityOfSystem } from '../../hl7/assigning-authority.ts';
import { nameOfSystem } from '../../hl7/code-system-names.ts';
import type { Component, Repetition } from '../../hl7/codec.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import type { RisProfile } from './ris-profile.ts';

/** FHIR R4 data types as HL7 v2 data types, for what a result message holds. */

/** Identifier → CX: number, authority, type. */
export function identifierToCx(identifier: Identifier): Repetition {
  const authority = authorityOfSystem(identifier.system, identifier.assigner?.display ?? '');
  const subcomponents = [authority.namespace, authority.universalId, authority.universalIdType];
  return [identifier.value ?? '', '', '', { subcomponents }, identifier.type?.coding?.[0]?.code ?? ''];
}

/** Identifier → EI, all components as ordered. */
export function identifierToEi(identifier: Identifier | undefined): Repetition {
  if (identifier === undefined) return '';
  const authority = authorityOfSystem(identifier.system, identifier.assigner?.display ?? '');
  return [identifier.value ?? '', authority.namespace, authority.universalId, authority.universalIdType];
}

/**
 * Up to two codings → CWE: code and alternate. Our own finding codes come last: they help only where no standard system has the
 * concept.
 */
export function codingsToCwe(
  codings: readonly (Coding | undefined)[],
  text: string | undefined,
  profile: RisProfile,
): Repetition {
  const known = codings.filter((one): one is Coding => one?.code !== undefined);
  const ranked = [...known].sort((a, b) => rankOf(a) - rankOf(b));
  const different = ranked.filter(
    (one, at) => ranked.findIndex((other) => nameOf(other, profile) === nameOf(one, profile)) === at,
  );
  if (different.length === 0) return ['', text ?? ''];
  return different
    .slice(0, 2)
    .flatMap((one): Component[] => [one.code ?? '', one.display ?? text ?? '', nameOf(one, profile)]);
}

export function conceptToCwe(concept: CodeableConcept | undefined, profile: RisProfile): Repetition {
  return codingsToCwe(concept?.coding ?? [], concept?.text, profile);
}

/** A reference to a person who is no resource here → XCN: id and name as one text. */
export function referenceToXcn(reference: Reference | undefined): Repetition {
  return reference === undefined ? '' : [reference.identifier?.value ?? '', reference.display ?? ''];
}

/** Plain decimal, never with an exponent: NM has none (chapter 2A). */
export function decimalText(value: number): string {
  const text = String(value);
  return text.includes('e') ? value.toFixed(10).replace(/\.?0+$/, '') : text;
}

const nameOf = (coding: Coding, profile: RisProfile) =>
  coding.system === CODE_SYSTEMS.radlex ? profile.radlexName : nameOfSystem(coding.system);

const RANKS: readonly (string | undefined)[] = [CODE_SYSTEMS.sct, CODE_SYSTEMS.loinc, CODE_SYSTEMS.radlex];

/** SNOMED CT, LOINC, RadLex, then others as they stand, then ours. */
function rankOf(coding: Coding): number {
  if (coding.system === CODE_SYSTEMS.finding) return 99;
  const at = RANKS.indexOf(coding.system);
  return at < 0 ? RANKS.length : at;
}
