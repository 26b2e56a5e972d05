import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** SOPClassUID (0008,0016). Looked at only where the manifest names classes: public chest X-rays are often Secondary Capture. */
export const sopClass: GateRule = (images, { sop_class: allowed }) => {
  if (allowed === undefined) return null;
  for (const image of images) {
    const value = jsonString(image, '00080016') ?? '';
    if (!allowed.includes(value)) {
      return refuse('sop-class', /^[0-9.]{5,64}$/.test(value) ? value : 'no SOP class', allowed.join(' or '));
    }
  }
  return null;
};
