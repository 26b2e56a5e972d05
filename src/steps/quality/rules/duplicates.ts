import { type GateRule, refuse } from '../gate-rule.ts';
import { SAME_POSITION_MM, stackOf } from '../stack.ts';

/** Slices at the place of another: two reconstructions, phases or echoes in one series. Meant too where a manifest wants even distances. */
export const duplicates: GateRule = (images, fits) => {
  const meant =
    fits.duplicates === false || (fits.duplicates === undefined && fits.gap_tolerance !== undefined);
  if (!meant || images.length < 2) return null;
  const stack = stackOf(images);
  if (stack === null)
    return fits.gap_tolerance === undefined ? refuse('duplicates', UNPLACED, 'each slice once') : null;
  const doubled = stack.distances.filter((distance) => distance < SAME_POSITION_MM).length;
  return doubled > 0
    ? refuse('duplicates', `${doubled} slices at the place of another`, 'each slice once')
    : null;
};

const UNPLACED = 'slices without place in space or in different planes';
