import { type Interval, type Scored, Z_95 } from './roc-auc.ts';

/** How a threshold does: at or above it is "positive". */
export interface OperatingPoint {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
  /** null: there is no positive (no negative) case. */
  readonly sensitivity: Interval | null;
  readonly specificity: Interval | null;
}

export function operatingPoint(cases: readonly Scored[], threshold: number): OperatingPoint {
  const count = (isPositive: boolean, isAbove: boolean): number =>
    cases.filter((one) => one.isPositive === isPositive && one.score >= threshold === isAbove).length;
  const truePositives = count(true, true);
  const falseNegatives = count(true, false);
  const trueNegatives = count(false, false);
  const falsePositives = count(false, true);
  return {
    threshold,
    truePositives,
    falsePositives,
    trueNegatives,
    falseNegatives,
    sensitivity: wilson(truePositives, truePositives + falseNegatives),
    specificity: wilson(trueNegatives, trueNegatives + falsePositives),
  };
}

/** A share with Wilson's score interval, 95 %, without continuity correction (Wilson, J Am Stat Assoc 1927;22:209-212). */
export function wilson(hits: number, of: number): Interval | null {
  if (of === 0) return null;
  const share = hits / of;
  const square = Z_95 ** 2;
  const middle = (share + square / (2 * of)) / (1 + square / of);
  const half = (Z_95 / (1 + square / of)) * Math.sqrt((share * (1 - share)) / of + square / (4 * of * of));
  return { value: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
