import { type GateRule, refuse } from '../gate-rule.ts';
import { stackOf } from '../stack.ts';

/** Cosine of 30°: gantries tilt by up to 30°, and a tilted slice is still an axial one. */
const SAME_PLANE_COSINE_MIN = 0.866;

/** Which part of the normal is along the body (axial), front to back (coronal), side to side (sagittal). */
const NORMAL_AXIS = { axial: 2, coronal: 1, sagittal: 0 } as const;

/** ImageOrientationPatient (0020,0037), PS3.3 C.7.6.2.1.1: all slices alike, in the plane the manifest names. */
export const orientation: GateRule = (images, { orientation: plane }) => {
  if (plane === undefined) return null;
  const stack = stackOf(images);
  if (stack === null)
    return refuse('orientation', 'slices without place in space or in different planes', `${plane} slices`);
  return Math.abs(stack.normal[NORMAL_AXIS[plane]]) >= SAME_PLANE_COSINE_MIN
    ? null
    : refuse('orientation', `slices that are not ${plane}`, `${plane} slices`);
};
