import { contrastOf } from '../../../governance/contrast.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/**
 * Was contrast agent given? ContrastBolusAgent (0018,0010) and its sequence (0018,0012), PS3.3 C.7.6.4, with the descriptions as second
 * witness. Images that say nothing pass where none may be given: devices leave the module out then.
 */
export const contrast: GateRule = (images, fits) => {
  if (fits.contrast === undefined) return null;
  const required = fits.contrast === 'given' ? 'contrast agent given' : 'no contrast agent';
  for (const image of images) {
    const found = contrastOf(image);
    if (found === fits.contrast) continue;
    if (found === null && fits.contrast === 'none' && fits.missing?.['contrast'] === undefined) continue;
    return found === null
      ? missing(fits, 'contrast', 'no word on contrast agent', required)
      : refuse('contrast', found === 'given' ? 'contrast agent given' : 'no contrast agent', required);
  }
  return null;
};
