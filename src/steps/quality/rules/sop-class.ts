import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** SOPClassUID (0008,0016). Looked at only where the manifest names classes: public chest X-rays are often Secondary Capture. */
export const sopClass: GateRule = (images, fits) => {
  const allowed = fits.sop_class;
  if (allowed === undefined) return null;
  for (const image of images) {
    const value = jsonString(image, '00080016');
    if (value === null) return missing(fits, 'sop-class', 'no SOP class', allowed.join(' or '));
    if (!allowed.includes(value))
      return refuse('sop-class', UID.test(value) ? value : 'no UID', allowed.join(' or '));
  }
  return null;
};

const UID = /^[0-9.]{5,64}$/;
