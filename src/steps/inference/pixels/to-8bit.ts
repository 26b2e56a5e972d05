import { type PixelImage, valueRangeOf } from './pixel-image.ts';

/**
 * Whole 8-bit steps. Unsigned values of 8 bits stay as they are. More bits are scaled to 0..255, from what the bits can hold
 * (`bits`) or from the image's own minimum and maximum (`minmax`), and rounded to the nearest step, halves up. An image of one
 * value becomes 0.
 */
export function to8Bit(image: PixelImage, from: 'bits' | 'minmax'): PixelImage {
  if (image.data instanceof Uint8Array && image.range.max === EIGHT_BIT_MAX) return image;
  const range = from === 'bits' ? image.range : valueRangeOf(image.data);
  const span = range.max - range.min;
  const data = new Uint8Array(image.data.length);
  if (span > 0) {
    for (let i = 0; i < data.length; i++) {
      const value = Math.floor(((image.data[i]! - range.min) / span) * EIGHT_BIT_MAX + 0.5);
      data[i] = Math.max(0, Math.min(EIGHT_BIT_MAX, value));
    }
  }
  return { ...image, data, range: { min: 0, max: EIGHT_BIT_MAX } };
}

const EIGHT_BIT_MAX = 255;
