import type { PixelOp } from '../../../governance/manifest.ts';
import { percentiles } from './percentiles.ts';
import type { PixelArray, PixelImage, ValueRange } from './pixel-image.ts';

export type PercentileClipOp = Extract<PixelOp, { op: 'percentile_clip' }>;

/** `percentile_clip` of one image: see `percentileClipInto`. */
export function percentileClip(image: PixelImage, op: PercentileClipOp): PixelImage {
  const data = new Float32Array(image.data.length);
  return { ...image, data, range: percentileClipInto(image.data, data, op) };
}

/**
 * Holds values between two of their percentiles, then maps these onto `op.to` where it is given (a flat image becomes the lower end).
 * `to` may be the input. Gives the range of the result.
 */
export function percentileClipInto(from: PixelArray, to: Float32Array, op: PercentileClipOp): ValueRange {
  const [low = 0, high = 0] = percentiles(from, [op.low, op.high], op.foreground === 'nonzero');
  const [start, end] = op.to ?? [low, high];
  const factor = high > low ? (end - start) / (high - low) : 0;
  for (let i = 0; i < from.length; i++) {
    const held = Math.max(low, Math.min(high, from[i]!));
    to[i] = op.to ? (held - low) * factor + start : held;
  }
  return { min: Math.min(start, end), max: Math.max(start, end) };
}
