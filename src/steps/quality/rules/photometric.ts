import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** PhotometricInterpretation (0028,0004), PS3.3 C.7.6.3.1.2. */
export const photometric: GateRule = (images, fits) => {
  const allowed = fits.photometric;
  if (allowed === undefined) return null;
  for (const image of images) {
    const value = jsonString(image, '00280004');
    if (value === null) return missing(fits, 'photometric', 'none stated', allowed.join(' or '));
    if (!allowed.includes(value))
      return refuse('photometric', KNOWN.test(value) ? value : 'an unknown one', allowed.join(' or '));
  }
  return null;
};

const KNOWN = /^(MONOCHROME[12]|PALETTE COLOR|RGB|HSV|ARGB|CMYK|XYB|YBR_[A-Z]+(_4\d\d)?)$/;
