import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** NumberOfFrames (0028,0008). One instance is one image here. For a model of volumes an enhanced object comes as its frames (`slicesOf`). */
export const frames: GateRule = (images) => {
  for (const image of images) {
    const count = jsonNumber(image, '00280008') ?? 1;
    if (count > 1) return refuse('frames', `${count} frames in one instance`, 'one frame per instance');
  }
  return null;
};
