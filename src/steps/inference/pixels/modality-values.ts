import type { PixelArray, PixelImage, ValueRange } from './pixel-image.ts';

/**
 * Modality LUT as slope and intercept (PS3.3 C.11.1.1.2): Hounsfield units for CT. The result is Int16 when slope and
 * intercept are whole numbers and every value that the bits allow fits, else Float32.
 */
export function modalityValues(image: PixelImage): PixelImage {
  const { slope, intercept } = image.source;
  const range = rescaledRange(image);
  const whole = Number.isInteger(slope) && Number.isInteger(intercept);
  const fits = range.min >= INT16_MIN && range.max <= INT16_MAX;
  const data = whole && fits ? new Int16Array(image.data.length) : new Float32Array(image.data.length);
  if (data instanceof Int16Array) modalityValuesInto(image, data);
  else rescaleInto(image.data, slope, intercept, data);
  return { ...image, data, range };
}

/**
 * The same, written straight into a slice of a volume of whole numbers: rounded to the nearest (halves up) and held at the limits
 * of Int16, so that a padding value far outside cannot wrap round into tissue.
 */
export function modalityValuesInto(image: PixelImage, target: Int16Array): void {
  const { slope, intercept } = image.source;
  const { data } = image;
  const range = rescaledRange(image);
  const whole = Number.isInteger(slope) && Number.isInteger(intercept);
  if (whole && range.min >= INT16_MIN && range.max <= INT16_MAX) {
    for (let i = 0; i < data.length; i++) target[i] = data[i]! * slope + intercept;
    return;
  }
  for (let i = 0; i < data.length; i++) {
    const value = Math.floor(data[i]! * slope + intercept + 0.5);
    target[i] = Math.max(INT16_MIN, Math.min(INT16_MAX, value));
  }
}

const INT16_MIN = -32768;
const INT16_MAX = 32767;

function rescaleInto(from: PixelArray, slope: number, intercept: number, to: Float32Array): void {
  for (let i = 0; i < from.length; i++) to[i] = from[i]! * slope + intercept;
}

/** What the values can be after slope and intercept. */
export function rescaledRange(image: PixelImage): ValueRange {
  const { slope, intercept } = image.source;
  const ends = [image.range.min * slope + intercept, image.range.max * slope + intercept];
  return { min: Math.min(...ends), max: Math.max(...ends) };
}
