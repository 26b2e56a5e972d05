import { jsonNumbers } from '../../../dicom/json-values.ts';
import { type GateRule, refuse, round } from '../gate-rule.ts';

/** LossyImageCompressionRatio (0028,2112), one value per compression; they multiply (PS3.3 C.7.6.1.1.5). */
export const lossy: GateRule = (images, { lossy_ratio_max: limit }) => {
  if (limit === undefined) return null;
  for (const image of images) {
    const ratio = (jsonNumbers(image, '00282112') ?? []).reduce((product, value) => product * value, 1);
    if (ratio > limit) return refuse('lossy', `compressed ${round(ratio)} to 1`, `at most ${limit} to 1`);
  }
  return null;
};
