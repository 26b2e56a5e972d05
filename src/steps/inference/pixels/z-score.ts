import type { PixelOp } from '../../../governance/manifest.ts';
import type { PixelArray, PixelImage, ValueRange } from './pixel-image.ts';

export type ZScoreOp = Extract<PixelOp, { op: 'z_score' }>;

/** `z_score` of one image: see `zScoreInto`. All samples have one mean. */
export function zScore(image: PixelImage, op: ZScoreOp): PixelImage {
  const data = new Float32Array(image.data.length);
  const range = zScoreInto(image.data, data, image.range, op.foreground);
  return { ...image, data, range };
}

/**
 * (x − mean) / standard deviation (of the population: divided by n) into `to`, which may be the input. `nonzero`: values of 0 do not count and
 * stay 0. Values without spread become 0. Gives the range that values of `range` come to lie in.
 */
export function zScoreInto(
  from: PixelArray,
  to: Float32Array,
  range: ValueRange,
  foreground: ZScoreOp['foreground'] = 'all',
): ValueRange {
  const skipZero = foreground === 'nonzero';
  const { mean, deviation } = moments(from, skipZero);
  const factor = deviation > 0 ? 1 / deviation : 0;
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    to[i] = skipZero && value === 0 ? 0 : (value - mean) * factor;
  }
  return { min: (range.min - mean) * factor, max: (range.max - mean) * factor };
}

/** In two passes: sums of squares of thousands lose the digits that the difference needs. */
function moments(values: PixelArray, skipZero: boolean): { mean: number; deviation: number } {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (skipZero && value === 0) continue;
    sum += value;
    count++;
  }
  if (count === 0) return { mean: 0, deviation: 0 };
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (skipZero && value === 0) continue;
    squares += (value - mean) * (value - mean);
  }
  return { mean, deviation: Math.sqrt(squares / count) };
}
