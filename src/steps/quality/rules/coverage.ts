import { type GateRule, rangeText, refuse } from '../gate-rule.ts';
import { stackOf } from '../stack.ts';

/** Extent along the normal: from the first to the last slice plus one slice distance. */
export const coverage: GateRule = (images, { coverage_mm: range }) => {
  if (range?.min === undefined) return null;
  const stack = stackOf(images);
  if (stack === null) return refuse('coverage', 'slices without place in space', rangeText(range, 'mm'));
  const extent = stack.distances.reduce((sum, distance) => sum + distance, stack.medianDistance ?? 0);
  return extent >= range.min ? null : refuse('coverage', `${Math.round(extent)} mm`, rangeText(range, 'mm'));
};
