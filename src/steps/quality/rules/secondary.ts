import { jsonString, jsonStrings } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** ImageType (0008,0008) value 2, PS3.3 C.7.6.1.1.2, and the Secondary Capture SOP classes (PS3.4 B.5): screenshots, scans, reformats. */
export const secondary: GateRule = (images, fits) => {
  if (fits.secondary !== false) return null;
  for (const image of images) {
    const captured = (jsonString(image, '00080016') ?? '').startsWith(SECONDARY_CAPTURE);
    if (captured) return refuse('secondary', 'a Secondary Capture', 'images as acquired');
    if (jsonStrings(image, '00080008')[1] === 'SECONDARY')
      return refuse('secondary', 'secondary images', 'images as acquired');
  }
  return null;
};

/** Secondary Capture Image Storage and its four multi-frame forms. */
const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
