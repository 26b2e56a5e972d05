import { jsonItems, jsonString, jsonStrings } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/**
 * ViewPosition (0018,5101), else ViewCodeSequence (0054,0220). Where both are missing, PatientOrientation (0020,0020) and the series description may still show that
 * the image is a lateral: its rows then run along the anterior-posterior axis (PS3.3 C.7.6.1.1.1).
 */
export const view: GateRule = (images, fits) => {
  if (fits.view === undefined) return null;
  const required = fits.view.join(' or ');
  for (const image of images) {
    const value = viewOf(image);
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
    return missing(fits, 'view', 'no view position', required);
  }
  return null;
};

/** Defined terms of PS3.3 C.8.1.1 and C.8.7.1, and those of digital X-ray; only these are repeated. */
const VIEWS = new Set(['AP', 'PA', 'LL', 'RL', 'RLD', 'LLD', 'RLO', 'LLO', 'LAT', 'LATERAL', 'CC', 'MLO']);
const LATERAL_FITS = ['LL', 'RL', 'LAT', 'LATERAL'];
const LATERAL_WORDS = new Set(['LAT', 'LATERAL', 'LATERALE', 'SEITLICH', 'PROFIL', 'LATERALIS']);

/** Codes of CID 4010 and 4014 in SNOMED CT and in their old SRT coding → the defined term of ViewPosition. */
const VIEW_CODES: Readonly<Record<string, string>> = {
  '272479007': 'PA',
  'R-10214': 'PA',
  'R-40888': 'PA',
  '399348003': 'AP',
  'R-10206': 'AP',
  '399173006': 'LL',
  'R-10236': 'LL',
  '399198007': 'RL',
  'R-10232': 'RL',
  '399067008': 'LATERAL',
  'R-102CD': 'LATERAL',
  '399162004': 'CC',
  'R-10242': 'CC',
  '399368009': 'MLO',
  'R-10226': 'MLO',
};

/** The view in the terms of ViewPosition; null when the image does not say, or says it by a code that is not known here. */
export function viewOf(image: DicomJson): string | null {
  const [item] = jsonItems(image, '00540220');
  return jsonString(image, '00185101') ?? VIEW_CODES[jsonString(item ?? {}, '00080100') ?? ''] ?? null;
}
