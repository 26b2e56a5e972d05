import { jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';

/**
 * Age at the study in years, with a fraction below one year; null when nothing says it. `recorded` is a birth date (`YYYY-MM-DD`) from elsewhere, for images
 * without one. AS is `nnnD`, W, M or Y (PS3.5 6.2); bare digits are read as years, as many files have them.
 */
export function ageAtStudy(image: DicomJson, recorded: string | null): number | null {
  const match = /^(\d{1,3})([DWMY]?)$/.exec(jsonString(image, '00101010') ?? '');
  if (match !== null) return Number(match[1]) / UNITS_PER_YEAR[match[2] as keyof typeof UNITS_PER_YEAR];
  const born = dateOf(jsonString(image, '00100030') ?? recorded?.replaceAll('-', '') ?? null);
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

/** Nobody is older; anonymised dates (a birth in 1900, a study in 1901) give such numbers. */
const AGE_YEARS_MAX = 130;
