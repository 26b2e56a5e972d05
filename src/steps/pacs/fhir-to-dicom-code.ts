import type { CodeableConcept, Coding, Quantity } from '@medplum/fhirtypes';
import { type DicomCode, ownCode } from '../../dicom/dicom-code.ts';
import { CODE_SYSTEMS, MATCH_GRADE_EXTENSION } from '../../kernel/code-systems.ts';

/** Coding scheme designators of PS3.16 8, best known by readers of SR first: the first that matches exactly names the finding. */
const SCHEMES: readonly (readonly [system: string, scheme: string])[] = [
  [CODE_SYSTEMS.sct, 'SCT'],
  [CODE_SYSTEMS.dcm, 'DCM'],
  [CODE_SYSTEMS.radlex, 'RADLEX'],
  [CODE_SYSTEMS.loinc, 'LN'],
];

/**
 * The concept of a finding as one DICOM code: of the schemes above the first that means exactly the same, else our own key; what
 * else is exact stands beside it as equivalent. A narrower or broader code is left out: here it would be read as the finding.
 */
export function conceptToCode(concept: CodeableConcept | undefined): DicomCode {
  const codings = (concept?.coding ?? []).filter(isExact);
  const known = SCHEMES.flatMap(([system, scheme]) => {
    const coding = codings.find((one) => one.system === system && one.code);
    return coding ? [codingToCode(coding, scheme, concept)] : [];
  });
  const own = codings.find((one) => one.system === CODE_SYSTEMS.finding && one.code);
  const all = own ? [...known, codingToCode(own, ownCode('', '').scheme, concept)] : known;
  const [first, ...equivalents] = all;
  if (!first) return ownCode('finding', concept?.text ?? codings[0]?.display ?? 'Finding');
  return equivalents.length > 0 ? { ...first, equivalents } : first;
}

/** A coding of any system in its scheme; null where DICOM has no name for the system. */
export function plainCode(concept: CodeableConcept | undefined): DicomCode | null {
  for (const [system, scheme] of SCHEMES) {
    const coding = concept?.coding?.find((one) => one.system === system && one.code);
    if (coding) return codingToCode(coding, scheme, concept);
  }
  return null;
}

/** A UCUM unit. Its meaning is what people write: `HU`, `no units`. */
export function unitOf(quantity: Quantity): DicomCode {
  const value = quantity.code ?? '1';
  const meaning = value === '1' ? 'no units' : value === "[hnsf'U]" ? 'Hounsfield unit' : value;
  return { value, scheme: 'UCUM', meaning };
}

const isExact = (coding: Coding): boolean =>
  !coding.extension?.some(({ url }) => url === MATCH_GRADE_EXTENSION);

function codingToCode(coding: Coding, scheme: string, concept: CodeableConcept | undefined): DicomCode {
  const value = String(coding.code);
  return { value, scheme, meaning: coding.display ?? concept?.text ?? value };
}
