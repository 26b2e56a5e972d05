import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { PixelOp } from '../../../governance/manifest.ts';
import { IDENTITY } from './affine.ts';
import { applyPixels } from './apply-pixels.ts';
import { applyVolume, splitPixels } from './apply-volume.ts';
import { imageOfStoredPixels, type PixelImage, type VoiWindow } from './pixel-image.ts';
import { stackVolume } from './stack-volume.ts';
import { type TensorType, tensorSlice, writeTensor } from './tensor-layout.ts';

/**
 * Every operation against other implementations (pydicom, Pillow, scipy, numpy): `test/fixtures/pixels/make-references.py` makes the values.
 */
interface Case {
  readonly name: string;
  readonly input: Input;
  readonly ops: readonly PixelOp[];
  readonly shape: readonly number[];
  readonly expected: readonly number[];
}

interface Input {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly slope?: number;
  readonly intercept?: number;
  readonly monochrome1?: boolean;
  readonly window?: VoiWindow;
  readonly spacing?: readonly number[];
  readonly orientation?: readonly number[];
  readonly first?: readonly number[];
  readonly last?: readonly number[];
}

const references = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../../../test/fixtures/pixels/references.json`, 'utf8'),
) as { cases: Case[]; tensors: Record<'colour' | 'nchw' | 'nhwc' | 'fractions' | TensorType, number[]> };

/** Of the value, or of 1 for smaller ones: Float32 has seven digits. */
const TOLERANCE = 1e-4;

describe('Each pixel operation gives what another library gives', () => {
  test.each(references.cases)('$name', ({ input, ops, shape, expected }) => {
    const result = input.shape.length === 3 ? volume(input, ops) : image(input, ops);
    expect(result.shape).toEqual(shape);
    const worst = expected.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - result.data[i]!) / Math.max(1, Math.abs(value))),
      0,
    );
    expect(worst).toBeLessThanOrEqual(TOLERANCE);
  });
});

test('The cases name every operation and every method of it', () => {
  const seen = new Set(references.cases.flatMap(({ ops }) => ops.map(({ op }) => op)));
  // to_8bit and the 8-bit path of resize are compared in resize.spec.ts and apply-pixels.spec.ts.
  expect([...seen].sort()).toEqual(
    [
      ...[
        'stored_values',
        'modality_values',
        'invert_if_monochrome1',
        'scale',
        'centre_crop_square',
        'resize',
      ],
      ...[
        'normalise',
        'channels',
        'clip',
        'window',
        'z_score',
        'percentile_clip',
        'crop',
        'pad',
        'pad_square',
      ],
      ...['resample_spacing', 'reorient'],
    ].sort(),
  );
});

test('Colour lies in planes or interleaved, as the layout says', () => {
  const { colour, nchw, nhwc } = references.tensors;
  const rgb = imageOfStoredPixels({
    ...{ rows: 3, columns: 4, samples: 3, data: Uint8Array.from(colour), bitsStored: 8, signed: false },
    source: { monochrome1: false, slope: 1, intercept: 0 },
  });
  for (const [layout, expected] of [
    ['NCHW', nchw],
    ['NHWC', nhwc],
  ] as const) {
    const target = new Float32Array(36);
    writeTensor(rgb, target, 'float32', layout);
    expect(Array.from(target)).toEqual(expected);
  }
});

test.each(['float16', 'int16', 'uint8'] as const)('Values become %s as numpy makes them', (type) => {
  const { fractions } = references.tensors;
  const one: PixelImage = {
    ...{ rows: 1, columns: fractions.length, samples: 1, data: Float32Array.from(fractions) },
    ...{ range: { min: 0, max: 0 }, region: { row: 0, column: 0, rows: 1, columns: fractions.length } },
    source: { monochrome1: false, slope: 1, intercept: 0 },
  };
  const target = tensorSlice(new ArrayBuffer(fractions.length * 2), type, fractions.length, 0);
  writeTensor(one, target, type, 'NCHW');
  expect(Array.from(target)).toEqual(references.tensors[type]);
});

function stored(input: Input, values: readonly number[]): PixelImage {
  const [rows = 0, columns = 0] = input.shape.slice(-2);
  return imageOfStoredPixels({
    ...{ rows, columns, samples: 1, data: Uint16Array.from(values), bitsStored: 12, signed: false },
    source: {
      monochrome1: input.monochrome1 ?? false,
      slope: input.slope ?? 1,
      intercept: input.intercept ?? 0,
      ...(input.window ? { window: input.window } : {}),
      ...(input.spacing ? { spacing: input.spacing } : {}),
    },
  });
}

function image(input: Input, ops: readonly PixelOp[]) {
  const { rows, columns, samples, data } = applyPixels(stored(input, input.values), ops);
  return { shape: samples === 1 ? [rows, columns] : [rows, columns, samples], data };
}

function volume(input: Input, ops: readonly PixelOp[]) {
  const [slices = 0, rows = 0, columns = 0] = input.shape;
  const parts = splitPixels(ops);
  const images = Array.from({ length: slices }, (_, slice) =>
    applyPixels(
      stored(input, input.values.slice(slice * rows * columns, (slice + 1) * rows * columns)),
      parts.images,
    ),
  );
  const first = images[0]!;
  const data = new Float32Array(slices * first.data.length);
  for (const [slice, one] of images.entries()) data.set(one.data, slice * first.data.length);
  const place = (slice: number) =>
    input.first!.map((start, axis) => start + ((input.last![axis]! - start) * slice) / (slices - 1));
  const geometry = images.map((_, slice) => ({
    position: place(slice),
    orientation: input.orientation!,
    pixelSpacing: input.spacing!,
    thickness: null,
    shrink: [1, 1] as const,
  }));
  const result = applyVolume(
    stackVolume({ slices, rows: first.rows, columns: first.columns }, data, first, geometry, IDENTITY),
    parts.volume,
  );
  return { shape: [result.slices, result.rows, result.columns], data: result.data };
}
