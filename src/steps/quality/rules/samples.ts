import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** SamplesPerPixel (0028,0002): 1 grey, 3 colour. */
export const samples: GateRule = (images, fits) => {
  const needed = fits.samples_per_pixel;
  if (needed === undefined) return null;
  for (const image of images) {
    const value = jsonNumber(image, '00280002');
    if (value === null) return missing(fits, 'samples', 'no samples per pixel', `${needed}`);
    if (value !== needed) return refuse('samples', `${value} samples per pixel`, `${needed}`);
  }
  return null;
};
