import { jsonStrings } from '../../../dicom/json-values.ts';
import { type GateRule, missing, refuse } from '../gate-rule.ts';

/** ConvolutionKernel (0018,1210): names differ by vendor, so the manifest lists words that it must not contain. Not every device names it. */
export const kernel: GateRule = (images, fits) => {
  const forbidden = fits.kernel_not;
  if (forbidden === undefined) return null;
  for (const image of images) {
    const text = jsonStrings(image, '00181210').join(' ').toUpperCase();
    if (text === '' && fits.missing?.['kernel'] !== undefined)
      return missing(fits, 'kernel', 'no kernel', `none with ${forbidden.join(' or ')}`);
    const word = forbidden.find((part) => text.includes(part.toUpperCase()));
    if (word !== undefined)
      return refuse('kernel', `a kernel with ${word}`, `none with ${forbidden.join(' or ')}`);
  }
  return null;
};
