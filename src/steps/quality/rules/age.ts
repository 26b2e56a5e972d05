import { ageAtStudy } from '../../../governance/age-at-study.ts';
import { type GateRule, inRange, missing, rangeText, refuse } from '../gate-rule.ts';

/** Age at the study, by PatientAge (0010,1010) or from birth date (of the images, else of the Patient) and study date. The age itself is never repeated. */
export const age: GateRule = ([image], fits, { patient }) => {
  if (fits.age_years === undefined || image === undefined) return null;
  const required = rangeText(fits.age_years, 'years');
  const years = ageAtStudy(image, patient?.born ?? null);
  if (years === null) return missing(fits, 'age', 'no age', required);
  if (inRange(years, fits.age_years)) return null;
  const young = fits.age_years.min !== undefined && years < fits.age_years.min;
  return refuse('age', young ? 'a younger patient' : 'an older patient', required);
};
