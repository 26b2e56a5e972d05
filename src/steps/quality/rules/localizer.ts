import { isLocalizerImage } from '../../../dicom/split-frames.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** ImageType (0008,0008) value 3 LOCALIZER, PS3.3 C.8.2.1.1.1, or SCOUT, as some scanners write it. No model here looks at localizers. */
export const localizer: GateRule = (images) =>
  images.length > 0 && images.every(isLocalizerImage)
    ? refuse('localizer', 'a localizer', 'a diagnostic series')
    : null;
