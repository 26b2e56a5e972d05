import { jsonItems, jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';

/**
 * Was contrast agent given, as far as one image says? ContrastBolusAgent (0018,0010) and ContrastBolusAgentSequence (0018,0012), PS3.3
 * C.7.6.4; where both are absent the series and study descriptions. Null: nothing says so.
 */
export function contrastOf(image: DicomJson): 'given' | 'none' | null {
  const agent = jsonString(image, '00180010');
  if (agent !== null) return NO_AGENT.test(agent) ? 'none' : 'given';
  if (jsonItems(image, '00180012').length > 0) return 'given';
  for (const tag of ['0008103E', '00081030']) {
    const text = jsonString(image, tag) ?? '';
    if (SAYS_WITH.test(text) && SAYS_WITHOUT.test(text)) return null;
    if (WITHOUT.test(text)) return 'none';
    if (WITH.test(text)) return 'given';
  }
  return null;
}

const NO_AGENT = /^(no|none|n|nein|non|without|0|null|nativ|unenhanced|no contrast.*)$/i;
const WITHOUT =
  /\b(without|w\/o|wo|no|ohne|sans|sin|senza|non)[ -]?(i\.?v\.? ?)?(contrast|contrasto|contraste|iv|cm|km|kontrastmittel|injection)\b|\b(nativ|native|unenhanced|non[- ]?enhanced|c-)(?![a-z])/i;
const WITH =
  /\b(with|w\/|mit|avec|con|post)[ -]?(i\.?v\.? ?)?(contrast|contrasto|contraste|iv|cm|km|kontrastmittel|injection)\b|\b(contrast[- ]enhanced|post[- ]?gado?|c\+|ce-?ct)/i;
/** "without and with": the study has both, and the description does not say which this series is. */
const SAYS_WITH = /(?<![a-z])(w\/(?!o)|(with|mit|avec|con)(?![a-z]))/i;
const SAYS_WITHOUT = /(?<![a-z])(without|w\/o|wo|ohne|sans|sin|senza)(?![a-z])/i;
