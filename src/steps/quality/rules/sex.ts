import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** PatientSex (0010,0040), PS3.3 C.7.1.1; the gender of the Patient where the images do not say. */
export const sex: GateRule = ([image], fits, { patient }) => {
  if (fits.sex === undefined || image === undefined) return null;
  const required = fits.sex.map((code) => WORDS[code]).join(' or ');
  const stated = jsonString(image, '00100040') ?? patient?.sex ?? '';
  const code = fits.sex.find((one) => one === stated);
  if (code !== undefined) return null;
  return stated === 'F' || stated === 'M' || stated === 'O'
    ? refuse('sex', WORDS[stated], required)
    : missing(fits, 'sex', 'no sex', required);
};

const WORDS = { F: 'female', M: 'male', O: 'other' } as const;
