import type { PixelImage } from './pixel-image.ts';

/**
 * Turns an image stored as MONOCHROME1 (lowest value is white) into the sense of MONOCHROME2, by reflecting it in the
 * range its values can have: `0..2^bits − 1` becomes `2^bits − 1 − value`. Other images stay as they are.
 */
export function invertIfMonochrome1(image: PixelImage): PixelImage {
  if (!image.source.monochrome1) return image;
  const { data, range } = image;
  const mirror = range.min + range.max;
  const inverted = data.slice();
  for (let i = 0; i < data.length; i++) inverted[i] = mirror - data[i]!;
  return { ...image, data: inverted, source: { ...image.source, monochrome1: false } };
}
