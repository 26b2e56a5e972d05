import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** BurnedInAnnotation (0028,0301), PS3.3 C.7.6.1. Only YES refuses: most devices do not fill it. */
export const burnedIn: GateRule = (images, fits) => {
  if (fits.burned_in_annotation !== false) return null;
  const found = images.some((image) => jsonString(image, '00280301') === 'YES');
  return found ? refuse('burned-in', 'text burned into the pixels', 'no burned-in text') : null;
};
