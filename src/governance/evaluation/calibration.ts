import { wilson } from './operating-point.ts';
import type { Interval, Scored } from './roc-auc.ts';

export interface CalibrationBin {
  /** Scores from (with) to (without, but 1 in the last). */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly meanScore: number;
  /** Share of positives. */
  readonly observed: Interval;
}

export interface Calibration {
  /** Only those with cases. */
  readonly bins: readonly CalibrationBin[];
  /** Mean squared distance of score and truth. */
  readonly brier: number;
  /** Distance of mean score and observed share, weighted by the cases of a bin. */
  readonly expectedError: number;
}

const BINS = 10;

/** Are scores probabilities? Ten bins of equal width. null without cases. */
export function calibration(cases: readonly Scored[]): Calibration | null {
  if (cases.length === 0) return null;
  const bins = Array.from({ length: BINS }, (_, i) => binOf(cases, i)).filter((bin) => bin !== null);
  const brier =
    cases.reduce((sum, { score, isPositive }) => sum + (score - Number(isPositive)) ** 2, 0) / cases.length;
  const expectedError = bins.reduce(
    (sum, { count, meanScore, observed }) =>
      sum + (count / cases.length) * Math.abs(meanScore - observed.value),
    0,
  );
  return { bins, brier, expectedError };
}

function binOf(cases: readonly Scored[], i: number): CalibrationBin | null {
  const own = cases.filter(({ score }) => Math.min(BINS - 1, Math.floor(score * BINS)) === i);
  const observed = wilson(own.filter(({ isPositive }) => isPositive).length, own.length);
  if (observed === null) return null;
  const meanScore = own.reduce((sum, { score }) => sum + score, 0) / own.length;
  return { from: i / BINS, to: (i + 1) / BINS, count: own.length, meanScore, observed };
}
