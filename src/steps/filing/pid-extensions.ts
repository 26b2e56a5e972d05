import type { CodeableConcept, Extension, Patient } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { cweToConcept, mapRepetitions, plain } from './datatype-to-fhir.ts';

/**
 * What PID says of a person that R4 has no element for, in the extensions that HL7 publishes (v2-to-FHIR, segment map PID): 6 mother's maiden name,
 * 10 race, 17 religion, 22 ethnic group, 23 birth place, 26 and 39 citizenship, 28 nationality, 35 and 36 species and breed.
 */
export function pidExtensions(pid: Hl7Segment): Extension[] {
  const mother = plain(pid.get(6)) || plain(pid.get(6, 2));
  const religion = cweToConcept(pid.repetitions(17)[0]);
  const birthPlace = plain(pid.text(23));
  const race = mapRepetitions(pid, 10, cweToConcept);
  const ethnicity = mapRepetitions(pid, 22, cweToConcept);
  const citizenship = [...mapRepetitions(pid, 26, cweToConcept), ...mapRepetitions(pid, 39, cweToConcept)];
  const nationality = cweToConcept(pid.repetitions(28)[0]);
  return [
    ...(mother ? [{ url: `${HL7}/patient-mothersMaidenName`, valueString: mother }] : []),
    ...(race.length > 0 ? [usCore('race', race, RACES)] : []),
    ...(religion ? [{ url: `${HL7}/patient-religion`, valueCodeableConcept: religion }] : []),
    ...(ethnicity.length > 0 ? [usCore('ethnicity', ethnicity, ETHNICITIES)] : []),
    ...(birthPlace ? [{ url: `${HL7}/patient-birthPlace`, valueAddress: { text: birthPlace } }] : []),
    ...citizenship.map((one) => ({ url: `${HL7}/patient-citizenship`, extension: [ofCode('code', one)] })),
    ...(nationality ? [{ url: `${HL7}/patient-nationality`, extension: [ofCode('code', nationality)] }] : []),
    ...animalOf(pid),
  ];
}

const ofCode = (url: string, valueCodeableConcept: CodeableConcept): Extension => ({
  url,
  valueCodeableConcept,
});

/** A breed without a species is left out: the extension needs the species. */
function animalOf(pid: Hl7Segment): NonNullable<Patient['extension']> {
  const species = cweToConcept(pid.repetitions(35)[0]);
  const breed = cweToConcept(pid.repetitions(36)[0]);
  if (species === null) return [];
  const parts = [ofCode('species', species), ...(breed ? [ofCode('breed', breed)] : [])];
  return [{ url: `${HL7}/patient-animal`, extension: parts }];
}

/**
 * Race and ethnic group have no extension for all countries. That of US Core takes a text from anywhere, and beside it the codes of the CDC, which table
 * 0005 of the standard uses too.
 */
function usCore(
  name: 'race' | 'ethnicity',
  concepts: readonly CodeableConcept[],
  codes: Readonly<Record<string, readonly [code: string, display: string]>>,
): Extension {
  const known = concepts.flatMap(({ coding = [] }) => {
    const one = coding
      .map(({ code = '' }) => (Object.hasOwn(codes, code) ? codes[code] : undefined))
      .find(Boolean);
    return one ? [one] : [];
  });
  // Of ethnicities there is one.
  const categories = name === 'race' ? new Map(known) : new Map(known.slice(0, 1));
  return {
    url: `http://hl7.org/fhir/us/core/StructureDefinition/us-core-${name}`,
    extension: [
      ...[...categories].map(([code, display]) => ({
        url: 'ombCategory',
        valueCoding: { system: CDC, code, display },
      })),
      { url: 'text', valueString: concepts.map(({ text = '' }) => text).join(', ') },
    ],
  };
}

const HL7 = 'http://hl7.org/fhir/StructureDefinition';
const CDC = 'urn:oid:2.16.840.1.113883.6.238';
const RACES = {
  '1002-5': ['1002-5', 'American Indian or Alaska Native'],
  '2028-9': ['2028-9', 'Asian'],
  '2054-5': ['2054-5', 'Black or African American'],
  '2076-8': ['2076-8', 'Native Hawaiian or Other Pacific Islander'],
  '2106-3': ['2106-3', 'White'],
} as const;
/** Table 0189. */
const ETHNICITIES = {
  H: ['2135-2', 'Hispanic or Latino'],
  N: ['2186-5', 'Not Hispanic or Latino'],
  '2135-2': ['2135-2', 'Hispanic or Latino'],
  '2186-5': ['2186-5', 'Not Hispanic or Latino'],
} as const;
