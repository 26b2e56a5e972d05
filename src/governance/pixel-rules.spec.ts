import { describe, expect, it } from 'vitest';
import type { Fits } from './manifest.ts';
import { histogramRule } from './pixel-rules.ts';

const SIZE = 256;
type Histogram = NonNullable<Fits['histogram']>;

/** What a manifest for radiographs may ask; each case below breaks one of it. */
const FULL: Histogram = {
  distinct_min: 64,
  single_value_share_max: 0.6,
  entropy_bits_min: 5,
  repeat_share_max: 0.7,
  spread_min: 40,
  saturated_share_max: 0.5,
};

const made = (valueAt: (row: number, column: number) => number): Uint16Array =>
  Uint16Array.from({ length: SIZE * SIZE }, (_, i) => valueAt(Math.floor(i / SIZE), i % SIZE));

/** The same numbers in every run. */
let state = 1;
const noise = () => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
  return state / 2_147_483_648;
};

const RADIOGRAPH = made(
  (row, column) => 800 + 600 * Math.sin(row / 40) * Math.cos(column / 60) + 60 * noise(),
);
const judge = (pixels: ArrayLike<number>, histogram: Histogram) => histogramRule(pixels, { histogram });

describe('rules about pixels', () => {
  it('let an image with noise and shades pass, whatever is asked', () => {
    expect(judge(RADIOGRAPH, FULL)).toBeNull();
    expect(
      judge(
        Int16Array.from(RADIOGRAPH, (value) => value - 1024),
        FULL,
      ),
    ).toBeNull();
    expect(
      judge(
        Float32Array.from(RADIOGRAPH, (value) => value / 7),
        FULL,
      ),
    ).toBeNull();
  });

  it('catch a test pattern of grey fields by its values, its entropy or its flat areas, each alone', () => {
    const fields = made((row, column) => 256 * (Math.floor(row / 64) * 4 + Math.floor(column / 64)));
    expect(judge(fields, { distinct_min: 64 })).toMatchObject({
      rule: 'histogram',
      observed: '16 distinct pixel values',
    });
    expect(judge(fields, { entropy_bits_min: 5 })).toMatchObject({
      rule: 'histogram',
      observed: '4.0 bits of entropy in the pixel values',
    });
    expect(judge(fields, { repeat_share_max: 0.7 })).toMatchObject({
      rule: 'histogram',
      observed: '98 % of the pixels repeat their neighbour',
    });
  });

  it('catch a smooth ramp, which has all values, by its flat areas', () => {
    const ramp = made((row) => row);
    expect(judge(ramp, { distinct_min: 64, single_value_share_max: 0.6 })).toBeNull();
    expect(judge(ramp, FULL)).toMatchObject({
      rule: 'histogram',
      observed: '100 % of the pixels repeat their neighbour',
    });
  });

  it('catch a blank exposure: nothing but noise around one value', () => {
    const blank = made(() => 2000 + 12 * noise());
    expect(judge(blank, FULL)).toMatchObject({ rule: 'blank', required: 'a spread of at least 40' });
    expect(
      judge(
        made(() => 7),
        FULL,
      ),
    ).toMatchObject({ rule: 'blank', observed: 'pixel values within 0' });
  });

  it.each([
    ['high', (value: number) => Math.min(value, 700)],
    ['low', (value: number) => Math.max(value, 900)],
  ])('catch an exposure cut off at the %s end', (_end, cut) => {
    const verdict = judge(Uint16Array.from(RADIOGRAPH, cut), { saturated_share_max: 0.3 });
    expect(verdict).toMatchObject({ rule: 'saturated', required: 'at most 30 %' });
    expect(judge(RADIOGRAPH, { saturated_share_max: 0.3 })).toBeNull();
  });

  it('count the whole image before they refuse: a sample in doubt is no verdict', () => {
    // Every eighth pixel is the same, which is what a sample sees; the others are an image.
    const striped = Uint16Array.from(RADIOGRAPH, (value, i) => (i % 8 === 0 ? 500 : value));
    expect(judge(striped, FULL)).toBeNull();
  });

  it('say nothing where nothing is asked, or there is nothing to look at', () => {
    expect(
      histogramRule(
        made(() => 0),
        {},
      ),
    ).toBeNull();
    expect(judge(new Uint8Array(0), FULL)).toBeNull();
  });
});
