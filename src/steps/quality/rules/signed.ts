import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** PixelRepresentation (0028,0103): 0 unsigned, 1 signed. */
export const signed: GateRule = (images, fits) => {
  const needed = fits.pixel_signed;
  if (needed === undefined) return null;
  const word = (isSigned: boolean) => `${isSigned ? 'signed' : 'unsigned'} pixels`;
  for (const image of images) {
    const value = jsonNumber(image, '00280103');
    if (value === null) return missing(fits, 'signed', 'no pixel representation', word(needed));
    if ((value === 1) !== needed) return refuse('signed', word(value === 1), word(needed));
  }
  return null;
};
