import type { GateVerdict } from '../kernel/handoffs.ts';
import type { Fits } from './manifest.ts';

/** Stored values of one image, as decoded. */
export type StoredPixels = ArrayLike<number>;

/**
 * The rules `histogram`, `blank` and `saturated`, for images already decoded, since headers lie: a test pattern has few values, little entropy
 * and large areas of one value; a blank exposure has next to no spread; an overexposed one lies at the end of the scale. Takes all pixels
 * of one image (one slice); null when they look like those of a real image, or the manifest does not ask.
 */
export function histogramRule(pixels: StoredPixels, fits: Pick<Fits, 'histogram'>): GateVerdict | null {
  const needs = fits.histogram;
  if (needs === undefined || pixels.length === 0) return null;
  if (isPlain(describe(pixels, SAMPLE_STEP, needs), needs)) return null;
  const whole = describe(pixels, 1, needs);
  for (const judge of JUDGES) {
    const verdict = judge(whole, needs);
    if (verdict !== null) return verdict;
  }
  return null;
}

type Needs = NonNullable<Fits['histogram']>;

interface PixelNumbers {
  readonly distinct: number;
  /** Share of the value that is met most. */
  readonly largestShare: number;
  readonly entropyBits: number;
  /** Share of pixels that equal the one before; 0 where it is not asked for. */
  readonly repeatShare: number;
  /** Share at the lowest or at the highest value, whichever is larger. */
  readonly endShare: number;
  /** 99th less 1st percentile. */
  readonly spread: number;
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

const JUDGES: readonly ((found: PixelNumbers, needs: Needs) => GateVerdict | null)[] = [
  ({ spread }, { spread_min: min }) =>
    min === undefined || spread >= min
      ? null
      : {
          rule: 'blank',
          observed: `pixel values within ${spread}`,
          required: `a spread of at least ${min}`,
        },
  ({ distinct }, { distinct_min: min }) =>
    min === undefined || distinct >= min
      ? null
      : {
          rule: 'histogram',
          observed: `${distinct} distinct pixel values`,
          required: `at least ${min} distinct pixel values`,
        },
  ({ largestShare }, { single_value_share_max: max }) =>
    max === undefined || largestShare <= max
      ? null
      : {
          rule: 'histogram',
          observed: `one pixel value fills ${percent(largestShare)} of the image`,
          required: `at most ${percent(max)}`,
        },
  ({ entropyBits }, { entropy_bits_min: min }) =>
    min === undefined || entropyBits >= min
      ? null
      : {
          rule: 'histogram',
          observed: `${entropyBits.toFixed(1)} bits of entropy in the pixel values`,
          required: `at least ${min} bits`,
        },
  ({ repeatShare }, { repeat_share_max: max }) =>
    max === undefined || repeatShare <= max
      ? null
      : {
          rule: 'histogram',
          observed: `${percent(repeatShare)} of the pixels repeat their neighbour`,
          required: `at most ${percent(max)}`,
        },
  ({ endShare }, { saturated_share_max: max }) =>
    max === undefined || endShare <= max
      ? null
      : {
          rule: 'saturated',
          observed: `${percent(endShare)} of the pixels at one end of the scale`,
          required: `at most ${percent(max)}`,
        },
];

/** Every eighth pixel tells most images from a pattern; only those in doubt are counted whole. */
const SAMPLE_STEP = 8;
/** A share that small in the sample cannot be over the limit in the whole but by a freak. */
const SHARE_MARGIN = 0.5;
/** The same for a number that must be large. Fewer pixels have less entropy, never more, so the sample errs to the safe side. */
const NUMBER_MARGIN = 1.25;

/** Is a sample of the pixels enough to see that the image is a real one? */
function isPlain(sample: PixelNumbers, needs: Needs): boolean {
  return (
    sample.distinct >= (needs.distinct_min ?? 0) &&
    sample.largestShare <= (needs.single_value_share_max ?? 2) * SHARE_MARGIN &&
    sample.entropyBits >= (needs.entropy_bits_min ?? 0) &&
    sample.repeatShare <= (needs.repeat_share_max ?? 2) * SHARE_MARGIN &&
    sample.endShare <= (needs.saturated_share_max ?? 2) * SHARE_MARGIN &&
    sample.spread >= (needs.spread_min ?? 0) * NUMBER_MARGIN
  );
}

/** 16 bits give 65,536 values; signed ones are moved up. Values outside (32-bit data) go into a map. */
const VALUES = 65_536;
const OFFSET = 32_768;

/** Taken once and left all zero after each image: a series has a thousand of them. */
const COUNTS = new Uint32Array(VALUES + OFFSET);

function describe(pixels: StoredPixels, step: number, needs: Needs): PixelNumbers {
  const outside = new Map<number, number>();
  let low = COUNTS.length;
  let high = -1;
  for (let i = 0; i < pixels.length; i += step) {
    const value = pixels[i] ?? 0;
    const slot = value + OFFSET;
    if (Number.isInteger(value) && slot >= 0 && slot < COUNTS.length) {
      COUNTS[slot] = (COUNTS[slot] ?? 0) + 1;
      if (slot < low) low = slot;
      if (slot > high) high = slot;
    } else outside.set(value, (outside.get(value) ?? 0) + 1);
  }
  const repeatShare = needs.repeat_share_max === undefined ? 0 : repeats(pixels, step);
  return { ...numbersOf(takeCounts(low, high, outside)), repeatShare };
}

interface Counts {
  /** Ascending. */
  readonly values: number[];
  readonly counts: number[];
}

/** The values met with their counts. `COUNTS` is zero again. */
function takeCounts(low: number, high: number, outside: ReadonlyMap<number, number>): Counts {
  const values: number[] = [];
  const counts: number[] = [];
  for (let slot = low; slot <= high; slot++) {
    const count = COUNTS[slot] ?? 0;
    if (count === 0) continue;
    values.push(slot - OFFSET);
    counts.push(count);
  }
  if (high >= 0) COUNTS.fill(0, low, high + 1);
  if (outside.size === 0) return { values, counts };
  for (const [value, count] of outside) {
    values.push(value);
    counts.push(count);
  }
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  return { values: order.map((at) => values[at] ?? 0), counts: order.map((at) => counts[at] ?? 0) };
}

function numbersOf({ values, counts }: Counts): Omit<PixelNumbers, 'repeatShare'> {
  let total = 0;
  let largest = 0;
  for (const count of counts) {
    total += count;
    if (count > largest) largest = count;
  }
  let entropyBits = 0;
  for (const count of counts) entropyBits -= (count / total) * Math.log2(count / total);
  return {
    distinct: values.length,
    largestShare: largest / total,
    entropyBits,
    endShare: Math.max(counts[0] ?? 0, counts.at(-1) ?? 0) / total,
    spread: atShare(values, counts, total * 0.99) - atShare(values, counts, total * 0.01),
  };
}

/** The smallest value that so many pixels do not exceed. */
function atShare(values: readonly number[], counts: readonly number[], pixels: number): number {
  let seen = 0;
  for (const [at, count] of counts.entries()) {
    seen += count;
    if (seen >= pixels) return values[at] ?? 0;
  }
  return values.at(-1) ?? 0;
}

/** Pixels that equal the one before them in the row (the first of a row is compared with the last of the row above: too few to matter). */
function repeats(pixels: StoredPixels, step: number): number {
  let same = 0;
  let looked = 0;
  for (let i = step; i < pixels.length; i += step) {
    if (pixels[i] === pixels[i - 1]) same++;
    looked++;
  }
  return looked === 0 ? 0 : same / looked;
}
