import { describe, expect, test } from 'vitest';
import type { PixelOp } from '../../../governance/manifest.ts';
import { applyPixels } from './apply-pixels.ts';
import { modalityValuesInto } from './modality-values.ts';
import { imageOfStoredPixels, type PixelImage, type PixelSource, type StoredPixels } from './pixel-image.ts';

const stored = (
  changes: Partial<StoredPixels> & { data: StoredPixels['data'] },
  source: Partial<PixelSource> = {},
): PixelImage =>
  imageOfStoredPixels({
    rows: 1,
    columns: changes.data.length / (changes.samples ?? 1),
    samples: 1,
    bitsStored: 12,
    signed: false,
    ...changes,
    source: { monochrome1: false, slope: 1, intercept: 0, ...source },
  });

const run = (image: PixelImage, ...ops: PixelOp[]) => applyPixels(image, ops);
const valuesOf = (image: PixelImage) => Array.from(image.data);

describe('modality_values', () => {
  test('Whole slope and intercept give Hounsfield units as Int16', () => {
    const image = run(stored({ data: Uint16Array.of(0, 24, 1024, 4095) }, { intercept: -1024 }), {
      op: 'modality_values',
    });
    expect(image.data).toBeInstanceOf(Int16Array);
    expect(valuesOf(image)).toEqual([-1024, -1000, 0, 3071]);
  });

  test('A slope that is no whole number gives Float32', () => {
    const image = run(stored({ data: Uint16Array.of(0, 3) }, { slope: 0.5, intercept: -1 }), {
      op: 'modality_values',
    });
    expect(image.data).toBeInstanceOf(Float32Array);
    expect(valuesOf(image)).toEqual([-1, 0.5]);
  });

  test('Written into a volume, values beyond 16 bits are held at the limit instead of wrapping round', () => {
    const target = new Int16Array(4);
    modalityValuesInto(
      stored({ data: Uint16Array.of(0, 65535, 40000, 2), bitsStored: 16 }, { slope: 1, intercept: -1024 }),
      target,
    );
    expect(Array.from(target)).toEqual([-1024, 32767, 32767, -1022]);
    modalityValuesInto(
      stored({ data: Int16Array.of(-32768, 3), bitsStored: 16, signed: true }, { slope: 1.5, intercept: 0 }),
      target.subarray(0, 2),
    );
    expect(Array.from(target.subarray(0, 2))).toEqual([-32768, 5]);
  });
});

describe('invert_if_monochrome1', () => {
  const op: PixelOp = { op: 'invert_if_monochrome1' };
  test('An unsigned image is mirrored in 2^bits − 1', () => {
    const image = stored({ data: Uint16Array.of(0, 1, 4095) }, { monochrome1: true });
    expect(valuesOf(run(image, op))).toEqual([4095, 4094, 0]);
  });
  test('A signed image is mirrored in −1', () => {
    const image = stored({ data: Int16Array.of(-2048, 0, 2047), signed: true }, { monochrome1: true });
    expect(valuesOf(run(image, op))).toEqual([2047, -1, -2048]);
  });
  test('Inverting after scaling equals scaling after inverting', () => {
    const scale: PixelOp = { op: 'scale', from: 'bits', to: [-1024, 1024] };
    const image = stored({ data: Uint16Array.of(0, 7, 4095) }, { monochrome1: true });
    const first = valuesOf(run(image, op, scale));
    for (const [i, value] of valuesOf(run(image, scale, op)).entries())
      expect(value).toBeCloseTo(first[i]!, 3);
  });
  test('MONOCHROME2 stays as it is, and an image is not inverted twice', () => {
    expect(valuesOf(run(stored({ data: Uint16Array.of(5) }), op))).toEqual([5]);
    expect(valuesOf(run(stored({ data: Uint16Array.of(5) }, { monochrome1: true }), op, op))).toEqual([4090]);
  });
});

describe('scale', () => {
  test('Bits to ±1024 is (2 · value / (2^bits − 1) − 1) · 1024, on stored values', () => {
    const values = Uint16Array.of(0, 1, 2000, 4095);
    const image = run(
      stored({ data: values }, { intercept: -1024 }),
      { op: 'stored_values' },
      { op: 'scale', from: 'bits', to: [-1024, 1024] },
    );
    for (const [i, value] of valuesOf(image).entries())
      expect(value).toBeCloseTo(((2 * values[i]!) / 4095 - 1) * 1024, 3);
  });
  test('Minimum to maximum, and a fixed range without clipping', () => {
    expect(
      valuesOf(
        run(stored({ data: Uint16Array.of(100, 150, 200) }), { op: 'scale', from: 'minmax', to: [0, 1] }),
      ),
    ).toEqual([0, 0.5, 1]);
    expect(
      valuesOf(run(stored({ data: Uint16Array.of(0, 300) }), { op: 'scale', from: [100, 200], to: [0, 1] })),
    ).toEqual([-1, 2]);
  });
  test('An image of one value becomes the lower end, not NaN', () => {
    expect(
      valuesOf(run(stored({ data: Uint16Array.of(9, 9) }), { op: 'scale', from: 'minmax', to: [-1, 1] })),
    ).toEqual([-1, -1]);
  });
});

describe('to_8bit', () => {
  test('More than 8 bits are scaled and rounded to the nearest step', () => {
    const image = stored({ data: Uint16Array.of(0, 8, 9, 4095) });
    // 8/4095·255 = 0.498, 9/4095·255 = 0.560
    expect(valuesOf(run(image, { op: 'to_8bit', from: 'bits' }))).toEqual([0, 0, 1, 255]);
    expect(
      valuesOf(
        run(stored({ data: Int16Array.of(-100, 0, 100), signed: true }), { op: 'to_8bit', from: 'minmax' }),
      ),
    ).toEqual([0, 128, 255]);
  });
  test('8 bits stay as they are, also with minmax', () => {
    const image = stored({ data: Uint8Array.of(10, 200), bitsStored: 8 });
    expect(valuesOf(run(image, { op: 'to_8bit', from: 'minmax' }))).toEqual([10, 200]);
  });
  test('A blank image becomes black, not NaN', () => {
    expect(valuesOf(run(stored({ data: Uint16Array.of(7, 7) }), { op: 'to_8bit', from: 'minmax' }))).toEqual([
      0, 0,
    ]);
  });
});

describe('centre_crop_square', () => {
  const grid = (rows: number, columns: number, samples: 1 | 3 = 1) =>
    stored({
      rows,
      columns,
      samples,
      data: Uint8Array.from({ length: rows * columns * samples }, (_, i) => i),
      bitsStored: 8,
    });
  test.each([
    [3, 5, 0, 1],
    [2, 5, 0, 1],
    [5, 2, 1, 0],
    [4, 7, 0, 1],
    [6, 6, 0, 0],
  ])('%i × %i starts at row %i, column %i', (rows, columns, row, column) => {
    const image = run(grid(rows, columns), { op: 'centre_crop_square' });
    expect([image.rows, image.columns]).toEqual([Math.min(rows, columns), Math.min(rows, columns)]);
    expect(image.data[0]).toBe(row * columns + column);
    expect(image.region).toEqual({ row, column, rows: image.rows, columns: image.columns });
  });
  test('Samples stay together, and the region of a crop after a resize is told in stored pixels', () => {
    expect(valuesOf(run(grid(1, 3, 3), { op: 'centre_crop_square' }))).toEqual([3, 4, 5]);
    const resized = run(
      grid(4, 8),
      { op: 'resize', rows: 2, columns: 4, method: 'nearest', antialias: true },
      { op: 'centre_crop_square' },
    );
    expect(resized.region).toEqual({ row: 0, column: 2, rows: 4, columns: 4 });
  });
});

describe('normalise, channels, clip', () => {
  test('Each sample has its own mean and std, or all share one', () => {
    const image = stored({ data: Uint8Array.of(1, 2, 3, 4, 5, 6), samples: 3, bitsStored: 8 });
    expect(valuesOf(run(image, { op: 'normalise', mean: [1, 2, 3], std: [1, 2, 4] }))).toEqual([
      0, 0, 0, 3, 1.5, 0.75,
    ]);
    expect(valuesOf(run(image, { op: 'normalise', mean: [1], std: [2] }))).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
  });
  test.each([
    [{ op: 'normalise', mean: [1, 2], std: [1, 1] }],
    [{ op: 'normalise', mean: [1], std: [0] }],
  ] as [PixelOp][])('A normalisation that cannot be is refused by name: %j', (op) => {
    expect(() => run(stored({ data: Uint8Array.of(1, 2, 3), samples: 3, bitsStored: 8 }), op)).toThrowError(
      expect.objectContaining({ code: 'inference.pixels-invalid' }),
    );
  });
  test('One sample becomes three equal ones; three become BT.601 luma with the rounding of 8-bit libraries', () => {
    expect(
      valuesOf(run(stored({ data: Uint8Array.of(7, 9), bitsStored: 8 }), { op: 'channels', count: 3 })),
    ).toEqual([7, 7, 7, 9, 9, 9]);
    const colour = stored({
      data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30),
      samples: 3,
      bitsStored: 8,
    });
    // 76.245, 149.685, 29.07, 18.15
    expect(valuesOf(run(colour, { op: 'channels', count: 1 }))).toEqual([76, 150, 29, 18]);
  });
  test('Clipping keeps whole numbers whole, and a limit that the type cannot hold does not wrap', () => {
    const image = run(stored({ data: Int16Array.of(-2000, 0, 2000), signed: true, bitsStored: 16 }), {
      op: 'clip',
      min: -1000,
      max: 400,
    });
    expect(image.data).toBeInstanceOf(Int16Array);
    expect(valuesOf(image)).toEqual([-1000, 0, 400]);
    expect(
      valuesOf(
        run(stored({ data: Uint8Array.of(0, 255), bitsStored: 8 }), { op: 'clip', min: -1000, max: 1000 }),
      ),
    ).toEqual([0, 255]);
    expect(
      valuesOf(run(stored({ data: Uint8Array.of(0, 2), bitsStored: 8 }), { op: 'clip', min: 0.5, max: 1.5 })),
    ).toEqual([0.5, 1.5]);
  });
});

test('No operation writes into the image it was given', () => {
  const data = Uint16Array.of(1, 2, 3, 4, 5, 6);
  const image = stored({ rows: 2, columns: 3, data }, { monochrome1: true, slope: 2, intercept: -5 });
  run(
    image,
    { op: 'invert_if_monochrome1' },
    { op: 'modality_values' },
    { op: 'clip', min: 0, max: 9 },
    { op: 'centre_crop_square' },
    { op: 'resize', rows: 4, columns: 4, method: 'bilinear', antialias: true },
    { op: 'scale', from: 'minmax', to: [0, 1] },
    { op: 'channels', count: 3 },
    { op: 'normalise', mean: [0.5], std: [0.5] },
  );
  expect(Array.from(data)).toEqual([1, 2, 3, 4, 5, 6]);
});
