import { jsonNumbers } from '../../../dicom/json-values.ts';
import { type GateRule, inRange, missing, rangeText, refuse, round } from '../gate-rule.ts';

/** PixelSpacing (0028,0030), or ImagerPixelSpacing (0018,1164) where that is missing (PS3.3 10.7.1.3), in mm. */
export const spacing: GateRule = (images, fits) => {
  const range = fits.pixel_spacing_mm;
  if (range === undefined) return null;
  for (const image of images) {
    const values = jsonNumbers(image, '00280030') ?? jsonNumbers(image, '00181164');
    if (values?.length !== 2 || values.some((value) => value <= 0)) {
      return missing(fits, 'spacing', 'no pixel spacing', rangeText(range, 'mm'));
    }
    const misfit = values.find((value) => !inRange(value, range));
    if (misfit !== undefined)
      return refuse('spacing', `pixels of ${round(misfit)} mm`, rangeText(range, 'mm'));
  }
  return null;
};
