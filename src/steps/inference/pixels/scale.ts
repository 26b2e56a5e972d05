import type { PixelOp } from '../../../governance/manifest.ts';
import { type PixelImage, type ValueRange, valueRangeOf } from './pixel-image.ts';

/**
 * Linear map of `from` onto `to`, as Float32. `bits`: what the stored bits can hold, so 2^BitsStored − 1 goes to the upper end;
 * `minmax`: the image's own minimum and maximum. An image of one value becomes the lower end. Nothing is clipped.
 */
export function scale(image: PixelImage, op: Extract<PixelOp, { op: 'scale' }>): PixelImage {
  const from = scaleRange(image, op.from);
  const [low, high] = op.to;
  const factor = from.max === from.min ? 0 : (high - low) / (from.max - from.min);
  const data = new Float32Array(image.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (image.data[i]! - from.min) * factor + low;
  return { ...image, data, range: { min: Math.min(low, high), max: Math.max(low, high) } };
}

function scaleRange(image: PixelImage, from: 'bits' | 'minmax' | readonly [number, number]): ValueRange {
  if (from === 'bits') return image.range;
  if (from === 'minmax') return valueRangeOf(image.data);
  return { min: from[0], max: from[1] };
}
