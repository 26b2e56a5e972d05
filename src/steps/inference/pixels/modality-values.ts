import { type LookupTable, lookUp } from '../../../dicom/lookup-table.ts';
import type { PixelArray, PixelImage, ValueRange } from './pixel-image.ts';

/**
 * Values of the modality (PS3.3 C.11.1.1.2): by slope and intercept, which gives Hounsfield units for CT, or by the file's Modality LUT, whose
 * ends hold beyond it. The result is Int16 when slope and intercept are whole numbers and every value that the bits allow fits, Uint16 from a
 * table, else Float32.
 */
export function modalityValues(image: PixelImage): PixelImage {
  const { slope, intercept, modalityTable } = image.source;
  const range = modalityRange(image);
  if (modalityTable) {
    const data = new Uint16Array(image.data.length);
    for (let i = 0; i < data.length; i++) data[i] = lookUp(modalityTable, image.data[i]!);
    return { ...image, data, range };
  }
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
  const { slope, intercept, modalityTable } = image.source;
  const { data } = image;
  if (modalityTable) {
    for (let i = 0; i < data.length; i++) target[i] = Math.min(INT16_MAX, lookUp(modalityTable, data[i]!));
    return;
  }
  const range = modalityRange(image);
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

/** What the table's bits can hold, or what it has where that is more. */
function rangeOfTable({ values, bits }: LookupTable): ValueRange {
  return { min: 0, max: values.reduce((max, value) => Math.max(max, value), 2 ** bits - 1) };
}

/** What the values of the modality can be. */
export function modalityRange(image: PixelImage): ValueRange {
  const { slope, intercept, modalityTable } = image.source;
  if (modalityTable) return rangeOfTable(modalityTable);
  const ends = [image.range.min * slope + intercept, image.range.max * slope + intercept];
  return { min: Math.min(...ends), max: Math.max(...ends) };
}
