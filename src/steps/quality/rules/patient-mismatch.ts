import { jsonString } from '../../../dicom/json-values.ts';
import { type GateRule, refuse, warn } from '../gate-rule.ts';

/**
 * Do the images and the record speak of one person? PatientSex (0010,0040) male against female, or another birth date (0010,0030), as far as
 * both are known. `O` contradicts nothing: devices write it for want of anything better. The dates themselves are never repeated.
 */
export const patientMismatch: GateRule = (images, fits, { patient }) => {
  if (patient === null) return null;
  const sexes = images.map((image) => jsonString(image, '00100040') ?? '');
  const otherSex = patient.sex !== null && sexes.some((sex) => sex === OPPOSITE[patient.sex ?? '']);
  const born = patient.born?.replaceAll('-', '') ?? null;
  const otherDate = born !== null && images.some((image) => differs(jsonString(image, '00100030'), born));
  if (!otherSex && !otherDate) return null;
  const observed = [...(otherSex ? ['another sex'] : []), ...(otherDate ? ['another birth date'] : [])].join(
    ' and ',
  );
  const say = fits.patient_mismatch === 'refuse' ? refuse : warn;
  return say(
    'patient-mismatch',
    `${observed} in the images than in the record`,
    'images and record of one patient',
  );
};

const OPPOSITE: Readonly<Record<string, string>> = { F: 'M', M: 'F' };

/** `YYYYMMDD` against `YYYYMMDD`; what is no date says nothing. */
const differs = (stated: string | null, born: string) => /^\d{8}$/.test(stated ?? '') && stated !== born;
