import { jsonStrings } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** ImageType (0008,0008) value 1, PS3.3 C.7.6.1.1.2. Only what says DERIVED is derived; Secondary Capture is `sop-class`. */
export const derived: GateRule = (images, fits) => {
  if (fits.derived !== false) return null;
  const found = images.some((image) => jsonStrings(image, '00080008')[0] === 'DERIVED');
  return found ? refuse('derived', 'derived images', 'original images') : null;
};
