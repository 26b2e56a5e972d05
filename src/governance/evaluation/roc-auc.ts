/** One image or study: what the model said and what is true. */
export interface Scored {
  readonly score: number;
  readonly isPositive: boolean;
}

export interface Interval {
  readonly value: number;
  /** 95 % confidence interval. */
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % of the normal distribution. */
export const Z_95 = 1.959963984540054;

/**
 * Area under the ROC curve, ties counted half, with DeLong's variance (DeLong, DeLong, Clarke-Pearson, Biometrics 1988;44:837-845) and a
 * normal 95 % interval cut at 0 and 1. null without both a positive and a negative. Where the variance cannot be told (one positive or one
 * negative, or an area of exactly 0 or 1), the interval is 0 to 1: nothing is known.
 */
export function rocAuc(cases: readonly Scored[]): Interval | null {
  const positives = sortedScores(cases, true);
  const negatives = sortedScores(cases, false);
  if (positives.length === 0 || negatives.length === 0) return null;
  // The structural components: for each positive the share of negatives below it, and the other way round.
  const ofPositives = positives.map((score) => shareBelow(negatives, score));
  const ofNegatives = negatives.map((score) => 1 - shareBelow(positives, score));
  const value = mean(ofPositives);
  const variance =
    sampleVariance(ofPositives) / positives.length + sampleVariance(ofNegatives) / negatives.length;
  if (!(variance > 0)) return { value, low: 0, high: 1 };
  const half = Z_95 * Math.sqrt(variance);
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half) };
}

function sortedScores(cases: readonly Scored[], isPositive: boolean): readonly number[] {
  return cases
    .filter((one) => one.isPositive === isPositive)
    .map(({ score }) => score)
    .sort((a, b) => a - b);
}

/** Of the sorted numbers, the share below the value; equal ones count half. */
function shareBelow(sorted: readonly number[], value: number): number {
  const below = firstIndex(sorted, (other) => other >= value);
  const notAbove = firstIndex(sorted, (other) => other > value);
  return (below + (notAbove - below) / 2) / sorted.length;
}

function firstIndex(sorted: readonly number[], is: (value: number) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(sorted[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** NaN for fewer than two values. */
function sampleVariance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}
