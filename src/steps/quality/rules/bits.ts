import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, inRange, missing, rangeText, refuse } from '../gate-rule.ts';

/** BitsStored (0028,0101). */
export const bits: GateRule = (images, fits) => {
  const range = fits.bits_stored;
  if (range === undefined) return null;
  for (const image of images) {
    const value = jsonNumber(image, '00280101');
    if (value === null) return missing(fits, 'bits', 'no bits stored', rangeText(range, 'bits'));
    if (!inRange(value, range)) return refuse('bits', `${value} bits stored`, rangeText(range, 'bits'));
  }
  return null;
};
