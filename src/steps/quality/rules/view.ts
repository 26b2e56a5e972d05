import { jsonString, jsonStrings } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/**
 * ViewPosition (0018,5101). Where it is missing, PatientOrientation (0020,0020) and the series description may still show that
 * the image is a lateral: its rows then run along the anterior-posterior axis (PS3.3 C.7.6.1.1.1).
 */
export const view: GateRule = (images, fits) => {
  if (fits.view === undefined) return null;
  const required = fits.view.join(' or ');
  for (const image of images) {
    const value = jsonString(image, '00185101');
    if (value !== null) {
      if (!fits.view.includes(value))
        return refuse('view', VIEWS.has(value) ? value : 'another view', required);
      continue;
    }
    const words = (jsonString(image, '0008103E') ?? '').toUpperCase().split(/[^\p{L}]+/u);
    if (!LATERAL_FITS.some((lateral) => fits.view?.includes(lateral))) {
      if (words.some((word) => LATERAL_WORDS.has(word))) {
        return refuse('view', 'a lateral by the series description', required);
      }
      if (/^[AP]/.test(jsonStrings(image, '00200020')[0] ?? '')) {
        return refuse('view', 'a lateral by the patient orientation', required);
      }
    }
    return missing(fits.view_missing, 'view', 'no view position', required);
  }
  return null;
};

/** Defined terms of PS3.3 C.8.1.1 and C.8.7.1, and those of digital X-ray; only these are repeated. */
const VIEWS = new Set(['AP', 'PA', 'LL', 'RL', 'RLD', 'LLD', 'RLO', 'LLO', 'LAT', 'LATERAL']);
const LATERAL_FITS = ['LL', 'RL', 'LAT', 'LATERAL'];
const LATERAL_WORDS = new Set(['LAT', 'LATERAL', 'LATERALE', 'SEITLICH', 'PROFIL', 'LATERALIS']);
