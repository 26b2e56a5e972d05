import { type GateRule, refuse, round } from '../gate-rule.ts';
import { SAME_POSITION_MM, stackOf } from '../stack.ts';

/**
 * Distances between neighbouring slices by their positions: none missing, all alike. A deviation is a fraction of the median distance.
 * Slices at one place are the rule `duplicates`.
 */
export const gaps: GateRule = (images, { gap_tolerance: tolerance }) => {
  if (tolerance === undefined || images.length < 2) return null;
  const stack = stackOf(images);
  if (stack === null)
    return refuse('gaps', 'slices without place in space or in different planes', 'evenly spaced slices');
  const distances = stack.distances.filter((distance) => distance >= SAME_POSITION_MM);
  if (distances.length === 0) return null;
  const median = stack.medianDistance ?? 0;
  const worst = distances.reduce((most, distance) => Math.max(most, Math.abs(distance - median)), 0);
  if (worst <= median * tolerance) return null;
  const missingSlices = distances.reduce(
    (sum, distance) => sum + Math.max(0, Math.round(distance / median) - 1),
    0,
  );
  const observed =
    missingSlices > 0 ? `a gap of ${missingSlices} slices` : `distances off by up to ${round(worst)} mm`;
  return refuse('gaps', observed, `every ${round(median)} mm, within ${round(tolerance * 100)} %`);
};
