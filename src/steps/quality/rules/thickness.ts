import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, inRange, missing, rangeText, refuse, round } from '../gate-rule.ts';

/** SliceThickness (0018,0050) in mm. */
export const thickness: GateRule = (images, fits) => {
  const range = fits.slice_thickness_mm;
  if (range === undefined) return null;
  for (const image of images) {
    const value = jsonNumber(image, '00180050');
    if (value === null) return missing(fits, 'thickness', 'no slice thickness', rangeText(range, 'mm'));
    if (!inRange(value, range))
      return refuse('thickness', `slices of ${round(value)} mm`, rangeText(range, 'mm'));
  }
  return null;
};
