import type { PixelOp } from '../../../governance/manifest.ts';
import type { PixelImage } from './pixel-image.ts';

/** Holds every value between `min` and `max`. Whole numbers stay whole when both limits are; else the result is Float32. */
export function clip(image: PixelImage, op: Extract<PixelOp, { op: 'clip' }>): PixelImage {
  const { min, max } = op;
  // A whole number clipped to a fraction does not fit its type; a limit outside the type never applies, so it cannot overflow it.
  const keepsType = image.data instanceof Float32Array || (Number.isInteger(min) && Number.isInteger(max));
  const data = keepsType ? image.data.slice() : new Float32Array(image.data);
  const low = Math.max(min, image.range.min);
  const high = Math.min(max, image.range.max);
  if (low > high) data.fill(min > image.range.max ? min : max);
  else {
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      if (value < min) data[i] = min;
      else if (value > max) data[i] = max;
    }
  }
  return { ...image, data, range: low > high ? { min: low, max: low } : { min: low, max: high } };
}
