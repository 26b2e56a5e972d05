import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** Modality (0008,0060), PS3.3 C.7.3.1.1.1. */
export const modality: GateRule = (images, fits) => {
  const required = fits.modality.join(' or ');
  for (const image of images) {
    const value = jsonString(image, '00080060');
    if (value === null) return refuse('modality', 'no modality', required);
    if (!fits.modality.includes(value))
      return refuse('modality', CODE.test(value) ? value : 'an unknown modality', required);
  }
  return null;
};

/** Defined terms have two to a few letters; anything else is not repeated. */
const CODE = /^[A-Z]{2,8}$/;
