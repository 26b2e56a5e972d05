import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** SamplesPerPixel (0028,0002): 1 grey, 3 colour. */
export const samples: GateRule = (images, { samples_per_pixel: needed }) => {
  if (needed === undefined) return null;
  for (const image of images) {
    const value = jsonNumber(image, '00280002');
    if (value !== needed) return refuse('samples', `${value ?? 'no'} samples per pixel`, `${needed}`);
  }
  return null;
};
