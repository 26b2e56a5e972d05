import { type GateRule, inRange, rangeText, refuse } from '../gate-rule.ts';

/** Number of slices in the series. */
export const slices: GateRule = (images, { slices: range }) => {
  if (range === undefined || inRange(images.length, range)) return null;
  return refuse('slices', `${images.length} slices`, rangeText(range, 'slices'));
};
