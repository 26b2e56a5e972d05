import { jsonItems, jsonString } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** PatientSpeciesDescription and PatientSpeciesCodeSequence (PS3.3 C.7.1.1): present on images of animals. */
export const species: GateRule = (images, fits) => {
  if (fits.species !== 'human' || images.every(isHuman)) return null;
  return refuse('species', 'another species', 'human');
};

/** Homo sapiens, in SNOMED CT and its old SRT coding (PS3.16 CID 454, 7454). */
const HUMAN_CODES = new Set(['337915000', 'L-85B00']);

function isHuman(image: DicomJson): boolean {
  const description = jsonString(image, '00102201');
  const codes = jsonItems(image, '00102202').map((item) => jsonString(item, '00080100') ?? '');
  if (description !== null && !/^(homo sapiens|human)$/i.test(description)) return false;
  return codes.every((code) => HUMAN_CODES.has(code));
}
