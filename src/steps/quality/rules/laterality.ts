import { jsonItems, jsonString } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/**
 * ImageLaterality (0020,0062), Laterality (0020,0060) or FrameLaterality (0020,9072), PS3.3 C.7.3.1 and C.10.23; else the modifier
 * of AnatomicRegionSequence (CID 244).
 */
export const laterality: GateRule = (images, fits) => {
  const allowed = fits.laterality;
  if (allowed === undefined) return null;
  const required = allowed.map((side) => WORDS[side]).join(' or ');
  for (const image of images) {
    const side = sideOf(image);
    if (side === null) return missing(fits, 'laterality', 'no side', required);
    if (!allowed.includes(side)) return refuse('laterality', WORDS[side], required);
  }
  return null;
};

const WORDS = { L: 'left', R: 'right', B: 'both sides', U: 'unpaired' } as const;
type Side = keyof typeof WORDS;

/** Left, right and both sides in SNOMED CT and in its old SRT coding. */
const MODIFIERS: Readonly<Record<string, Side>> = {
  '7771000': 'L',
  'G-A101': 'L',
  '24028007': 'R',
  'G-A100': 'R',
  '51440002': 'B',
  'G-A102': 'B',
  '66459002': 'U',
  'G-A103': 'U',
};

function sideOf(image: DicomJson): Side | null {
  for (const tag of ['00200062', '00200060', '00209072']) {
    const value = jsonString(image, tag);
    if (value === 'L' || value === 'R' || value === 'B' || value === 'U') return value;
  }
  for (const region of jsonItems(image, '00082218')) {
    for (const modifier of jsonItems(region, '00082220')) {
      const side = MODIFIERS[jsonString(modifier, '00080100') ?? ''];
      if (side !== undefined) return side;
    }
  }
  return null;
}
