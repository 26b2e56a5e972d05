import { jsonStrings } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** ImageType (0008,0008) value 3 LOCALIZER, PS3.3 C.8.2.1.1.1. No model here looks at localizers. */
export const localizer: GateRule = (images) =>
  images.length > 0 && images.every(isLocalizer)
    ? refuse('localizer', 'a localizer', 'a diagnostic series')
    : null;

export const isLocalizer = (image: DicomJson) => jsonStrings(image, '00080008').includes('LOCALIZER');
