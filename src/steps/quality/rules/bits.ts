import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, inRange, rangeText, refuse } from '../gate-rule.ts';

/** BitsStored (0028,0101). */
export const bits: GateRule = (images, { bits_stored: range }) => {
  if (range === undefined) return null;
  for (const image of images) {
    const value = jsonNumber(image, '00280101');
    if (value === null || !inRange(value, range))
      return refuse('bits', `${value ?? 'no'} bits stored`, rangeText(range, 'bits'));
  }
  return null;
};
