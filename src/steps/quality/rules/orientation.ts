import { type GateRule, refuse } from '../gate-rule.ts';
import { stackOf } from '../stack.ts';

/** Cosine of 30°: gantries tilt by up to 30°, and a tilted slice is still an axial one. */
const AXIAL_COSINE_MIN = 0.866;

/** ImageOrientationPatient (0020,0037), PS3.3 C.7.6.2.1.1: all slices alike, their normal along the body. */
export const orientation: GateRule = (images, fits) => {
  if (fits.orientation !== 'axial') return null;
  const stack = stackOf(images);
  if (stack === null)
    return refuse('orientation', 'slices without place in space or in different planes', 'axial slices');
  return Math.abs(stack.normal[2]) >= AXIAL_COSINE_MIN
    ? null
    : refuse('orientation', 'slices that are not axial', 'axial slices');
};
