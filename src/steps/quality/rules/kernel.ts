import { jsonStrings } from '../../../dicom/json-values.ts';
import { type GateRule, refuse } from '../gate-rule.ts';

/** ConvolutionKernel (0018,1210): names differ by vendor, so the manifest lists words that it must not contain. */
export const kernel: GateRule = (images, { kernel_not: forbidden }) => {
  if (forbidden === undefined) return null;
  for (const image of images) {
    const text = jsonStrings(image, '00181210').join(' ').toUpperCase();
    const word = forbidden.find((part) => text.includes(part.toUpperCase()));
    if (word !== undefined)
      return refuse('kernel', `a kernel with ${word}`, `none with ${forbidden.join(' or ')}`);
  }
  return null;
};
