import type { Extension, HumanName, Identifier, Patient } from '@medplum/fhirtypes';
import { jsonItems, jsonPersonName, jsonString, jsonValues } from '../../dicom/json-values.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { authorityToIdentifier, type HierarchicDesignator } from '../../hl7/assigning-authority.ts';
import { timestampToDate } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';

/**
 * Patient module (PS3.3 C.7.1.1) → Patient, without id. `instance`: the metadata of any instance of the study. A value that
 * is no date, no sex or no name is left out, never repaired.
 */
export function metadataToPatient(instance: DicomJson): Patient {
  const identifier = patientIdentifiers(instance);
  const name = humanNames(instance);
  const birthDate = timestampToDate((jsonString(instance, '00100030') ?? '').replaceAll('.', ''));
  const gender = GENDERS[jsonString(instance, '00100040') ?? ''];
  return {
    resourceType: 'Patient',
    ...(identifier.length > 0 ? { identifier } : {}),
    ...(name.length > 0 ? { name } : {}),
    ...(gender ? { gender } : {}),
    ...(birthDate ? { birthDate } : {}),
  };
}

/** Patient ID (0010,0020) with its issuer first, then those of Other Patient IDs Sequence (0010,1002). */
export function patientIdentifiers(instance: DicomJson): Identifier[] {
  const main = toIdentifier(instance);
  const others = jsonItems(instance, '00101002').map(toIdentifier);
  return [
    ...(main
      ? [
          {
            use: 'usual' as const,
            type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'MR' }] },
            ...main,
          },
        ]
      : []),
    ...others.flatMap((other) => (other ? [{ use: 'secondary' as const, ...other }] : [])),
  ];
}

function toIdentifier(item: DicomJson): Identifier | null {
  const value = jsonString(item, '00100020');
  if (value === null) return null;
  const authority = issuerOf(item, '00100021', '00100024');
  if (authority === null) return { value };
  return { ...authorityToIdentifier('patient', authority, ''), value };
}

/** Issuer as a local name and the qualifiers that make it universal (PS3.3 Table 10-18); null when none is named. */
function issuerOf(item: DicomJson, local: string, qualifiers: string): HierarchicDesignator | null {
  const [qualifier] = jsonItems(item, qualifiers);
  const namespace = jsonString(item, local) ?? '';
  const universalId = (qualifier && jsonString(qualifier, '00400032')) ?? '';
  const universalIdType = (qualifier && jsonString(qualifier, '00400033')) ?? '';
  return namespace === '' && universalId === '' ? null : { namespace, universalId, universalIdType };
}

/** One name per way of writing: alphabetic, ideographic, phonetic (PS3.5 6.2.1.2). */
function humanNames(instance: DicomJson): HumanName[] {
  const value = jsonValues(instance, NAME)[0];
  const groups: Record<string, unknown> =
    typeof value === 'string'
      ? { Alphabetic: value }
      : (((value as object | undefined) ?? {}) as Record<string, unknown>);
  return Object.entries(WRITINGS).flatMap(([group, representation]) => {
    const name = jsonPersonName({ [NAME]: { vr: 'PN', Value: [{ Alphabetic: groups[group] }] } }, NAME);
    if (name === null || name.text.replaceAll('^', '').trim() === '') return [];
    return [
      {
        ...(representation === null ? {} : { extension: [written(representation)] }),
        text: [name.prefix, ...name.given, name.family, name.suffix].filter(Boolean).join(' '),
        ...(name.family ? { family: name.family } : {}),
        ...(name.given.length > 0 ? { given: [...name.given] } : {}),
        ...(name.prefix ? { prefix: [name.prefix] } : {}),
        ...(name.suffix ? { suffix: [name.suffix] } : {}),
      },
    ];
  });
}

const NAME = '00100010';
const WRITINGS: Readonly<Record<string, string | null>> = {
  Alphabetic: null,
  Ideographic: 'IDE',
  Phonetic: 'SYL',
};

function written(valueCode: string): Extension {
  return { url: 'http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation', valueCode };
}

const GENDERS: Readonly<Record<string, Patient['gender']>> = { M: 'male', F: 'female', O: 'other' };
