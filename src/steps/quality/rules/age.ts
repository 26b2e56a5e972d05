import { jsonString } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { type GateRule, inRange, missing, rangeText, refuse } from '../gate-rule.ts';

/** Age at the study, by PatientAge (0010,1010) or from birth date and study date. The age itself is never repeated. */
export const age: GateRule = ([image], fits) => {
  if (fits.age_years === undefined || image === undefined) return null;
  const required = rangeText(fits.age_years, 'years');
  const years = ageOf(image);
  if (years === null) return missing(fits.age_missing, 'age', 'no age', required);
  if (inRange(years, fits.age_years)) return null;
  const young = fits.age_years.min !== undefined && years < fits.age_years.min;
  return refuse('age', young ? 'a younger patient' : 'an older patient', required);
};

/** Nobody is older; anonymised dates (a birth in 1900, a study in 1901) give such numbers. */
const AGE_YEARS_MAX = 130;

/** Years, with a fraction below one year. AS is `nnnD`, W, M or Y (PS3.5 6.2); bare digits are read as years, as many files have them. */
function ageOf(image: DicomJson): number | null {
  const match = /^(\d{1,3})([DWMY]?)$/.exec(jsonString(image, '00101010') ?? '');
  if (match !== null) return Number(match[1]) / UNITS_PER_YEAR[match[2] as keyof typeof UNITS_PER_YEAR];
  const born = dateOf(jsonString(image, '00100030'));
  const studied = dateOf(jsonString(image, '00080020'));
  if (born === null || studied === null) return null;
  const years = (studied - born) / YEAR_MS;
  return years >= 0 && years <= AGE_YEARS_MAX ? years : null;
}

const UNITS_PER_YEAR = { D: 365.25, W: 52.18, M: 12, Y: 1, '': 1 } as const;
const YEAR_MS = 365.25 * 24 * 3_600_000;

function dateOf(text: string | null): number | null {
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec(text ?? '');
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`);
  return Number.isNaN(time) ? null : time;
}
