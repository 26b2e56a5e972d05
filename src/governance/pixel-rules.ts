import type { GateVerdict } from '../kernel/handoffs.ts';
import type { Fits } from './manifest.ts';

/** Stored values of one image, as decoded. */
export type StoredPixels = ArrayLike<number>;

/**
 * The rule `histogram`, for images already decoded: a test pattern has few distinct values, a blank exposure nearly one.
 * Takes all pixels of one image (one slice); null when they look like those of a real image, or the manifest does not ask.
 */
export function histogramRule(pixels: StoredPixels, fits: Pick<Fits, 'histogram'>): GateVerdict | null {
  const needs = fits.histogram;
  if (needs === undefined || pixels.length === 0) return null;
  if (isPlain(pixels, needs)) return null;
  const { distinct, largest } = spread(pixels, 1);
  const share = largest / pixels.length;
  if (needs.distinct_min !== undefined && distinct < needs.distinct_min) {
    const required = `at least ${needs.distinct_min} distinct pixel values`;
    return { rule: 'histogram', observed: `${distinct} distinct pixel values`, required };
  }
  if (needs.single_value_share_max !== undefined && share > needs.single_value_share_max) {
    return {
      rule: 'histogram',
      observed: `one pixel value fills ${Math.round(share * 100)} % of the image`,
      required: `at most ${Math.round(needs.single_value_share_max * 100)} %`,
    };
  }
  return null;
}

/** Every eighth pixel tells most images from a pattern; only those in doubt are counted whole. */
const SAMPLE_STEP = 8;
/** A share that small in the sample cannot be over the limit in the whole but by a freak. */
const SHARE_MARGIN = 0.5;

/** Is a sample of the pixels enough to see that the image is a real one? */
function isPlain(pixels: StoredPixels, needs: NonNullable<Fits['histogram']>): boolean {
  const { distinct, largest } = spread(pixels, SAMPLE_STEP);
  const share = (largest * SAMPLE_STEP) / pixels.length;
  return distinct >= (needs.distinct_min ?? 0) && share <= (needs.single_value_share_max ?? 1) * SHARE_MARGIN;
}

/** 16 bits give 65,536 values; signed ones are moved up. Values outside (32-bit data) go into a map. */
const VALUES = 65_536;
const OFFSET = 32_768;

function spread(pixels: StoredPixels, step: number): { distinct: number; largest: number } {
  const counts = new Uint32Array(VALUES + OFFSET);
  const outside = new Map<number, number>();
  for (let i = 0; i < pixels.length; i += step) {
    const value = pixels[i] ?? 0;
    const slot = value + OFFSET;
    if (Number.isInteger(value) && slot >= 0 && slot < counts.length) counts[slot] = (counts[slot] ?? 0) + 1;
    else outside.set(value, (outside.get(value) ?? 0) + 1);
  }
  let distinct = outside.size;
  let largest = 0;
  for (const count of counts) {
    if (count > 0) distinct++;
    if (count > largest) largest = count;
  }
  for (const count of outside.values()) if (count > largest) largest = count;
  return { distinct, largest };
}
