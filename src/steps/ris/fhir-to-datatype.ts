import type { CodeableConcept, Coding, Identifier } from '@medplum/fhirtypes';
import { authorityOfIdentifier } from '../../hl7/assigning-authority.ts';
import { nameOfSystem } from '../../hl7/code-system-names.ts';
import type { Component, Repetition } from '../../hl7/codec.ts';
import { CODE_SYSTEMS, MATCH_GRADE_EXTENSION } from '../../kernel/code-systems.ts';
import type { RisProfile } from './profile-settings.ts';

/** FHIR R4 data types as HL7 v2 data types, for what a result message holds. */

/** Identifier → CX: number, authority, type. */
export function identifierToCx(identifier: Identifier): Repetition {
  const authority = authorityOfIdentifier(identifier);
  const subcomponents = [authority.namespace, authority.universalId, authority.universalIdType];
  return [identifier.value ?? '', '', '', { subcomponents }, identifier.type?.coding?.[0]?.code ?? ''];
}

/** Identifier → EI, all components as ordered. */
export function identifierToEi(identifier: Identifier | undefined): Repetition {
  if (identifier === undefined) return '';
  const authority = authorityOfIdentifier(identifier);
  return [identifier.value ?? '', authority.namespace, authority.universalId, authority.universalIdType];
}

/**
 * Codings → CWE: code and alternate. CWE has no room for a match grade, and a receiver acts on the code alone. So only codes that mean
 * exactly what was found leave as standard codes, two at most; our own is the alternate of a single one, and the code where there is
 * none. A narrower or broader one stays in the FHIR record, where its grade stands beside it.
 */
export function codingsToCwe(
  codings: readonly (Coding | undefined)[],
  text: string | undefined,
  profile: RisProfile,
): Repetition {
  const exact = codings.filter((one): one is Coding => one?.code !== undefined && isExact(one));
  const ranked = [...exact].sort((a, b) => rankOf(a) - rankOf(b));
  const different = ranked.filter(
    (one, at) => ranked.findIndex((other) => nameOf(other, profile) === nameOf(one, profile)) === at,
  );
  // Words without a code are words all the same; those of a code that means something else are not.
  if (different.length === 0)
    return ['', text ?? codings.find((one) => one?.display && isExact(one))?.display ?? ''];
  return different
    .slice(0, 2)
    .flatMap((one): Component[] => [one.code ?? '', one.display ?? text ?? '', nameOf(one, profile)]);
}

export function conceptToCwe(concept: CodeableConcept | undefined, profile: RisProfile): Repetition {
  return codingsToCwe(concept?.coding ?? [], concept?.text, profile);
}

/** Plain decimal, never with an exponent: NM has none, and 16 characters at most (chapter 2A). What a calculation left behind the last of them is rounded away. */
export function decimalText(value: number): string {
  const [mantissa = '', power = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = whole + fraction;
  const point = whole.length + Number(power);
  const sign = value < 0 ? '-' : '';
  const left = point <= 0 ? '0' : digits.slice(0, point).padEnd(point, '0');
  const right = point <= 0 ? '0'.repeat(-point) + digits : digits.slice(point);
  if (right === '') return sign + left;
  const room = NM_CHARACTERS_MAX - sign.length - left.length - 1;
  if (right.length <= room) return `${sign}${left}.${right}`;
  const rounded = room > 0 ? value.toFixed(room).replace(/\.?0+$/, '') : String(Math.round(value));
  // A value that is too small for so few places is written longer: it must not become another.
  const lost = Math.abs(Number(rounded) - value) > Math.abs(value) * LOST_MAX;
  return lost ? `${sign}${left}.${right}` : rounded;
}

const NM_CHARACTERS_MAX = 16;
/** Of a value; what a float of 32 bits cannot tell apart is ten times more. */
const LOST_MAX = 1e-8;

/** A coding without a grade means what its concept means; of a graded one only `exact` does, whatever words may yet come. */
const isExact = (coding: Coding): boolean =>
  coding.extension?.every((one) => one.url !== MATCH_GRADE_EXTENSION || one.valueCode === 'exact') ?? true;

const nameOf = (coding: Coding, profile: RisProfile) =>
  coding.system === CODE_SYSTEMS.radlex ? profile.radlexName : nameOfSystem(coding.system);

const RANKS: readonly (string | undefined)[] = [CODE_SYSTEMS.sct, CODE_SYSTEMS.loinc, CODE_SYSTEMS.radlex];

/** SNOMED CT, LOINC, RadLex, then others as they stand, then ours. */
function rankOf(coding: Coding): number {
  if (coding.system === CODE_SYSTEMS.finding) return 99;
  const at = RANKS.indexOf(coding.system);
  return at < 0 ? RANKS.length : at;
}
