import type { PixelImage } from './pixel-image.ts';

/**
 * 1 to 3 samples: the grey value three times. 3 to 1: luma of ITU-R BT.601, in 16-bit fixed point for 8-bit values so that it
 * equals what 8-bit image libraries give, in floating point otherwise.
 */
export function channels(image: PixelImage, count: 1 | 3): PixelImage {
  if (image.samples === count) return image;
  return count === 3
    ? { ...image, samples: 3, data: threefold(image) }
    : { ...image, samples: 1, data: luma(image) };
}

function threefold(image: PixelImage): PixelImage['data'] {
  const { data } = image;
  const tripled = new (data.constructor as new (length: number) => typeof data)(data.length * 3);
  for (let i = 0, at = 0; i < data.length; i++, at += 3) {
    const value = data[i]!;
    tripled[at] = value;
    tripled[at + 1] = value;
    tripled[at + 2] = value;
  }
  return tripled;
}

/** 0.299, 0.587, 0.114 as 16-bit fractions; they sum to 65,536. */
const RED = 19595;
const GREEN = 38470;
const BLUE = 7471;

function luma(image: PixelImage): PixelImage['data'] {
  const { data } = image;
  const pixels = data.length / 3;
  if (data instanceof Uint8Array) {
    const grey = new Uint8Array(pixels);
    for (let i = 0, at = 0; i < pixels; i++, at += 3) {
      grey[i] = (data[at]! * RED + data[at + 1]! * GREEN + data[at + 2]! * BLUE + 0x8000) >> 16;
    }
    return grey;
  }
  const grey = new Float32Array(pixels);
  for (let i = 0, at = 0; i < pixels; i++, at += 3) {
    grey[i] = (data[at]! * RED + data[at + 1]! * GREEN + data[at + 2]! * BLUE) / 65536;
  }
  return grey;
}
