import { describe, expect, test } from 'vitest';
import type { PixelOp } from '../../../governance/manifest.ts';
import { applyPixels, pointsFirst } from './apply-pixels.ts';
import { imageToTensor } from './image-to-tensor.ts';
import { imageOfStoredPixels, type PixelArray, type PixelImage } from './pixel-image.ts';
import { type TensorType, tensorArray } from './tensor-layout.ts';

const ROWS = 130;
const COLUMNS = 150;

/** Large enough for a table. Every value from lowest to highest occurs, in no order. */
function image(data: PixelArray, bitsStored: number, signed: boolean, monochrome1 = false): PixelImage {
  const low = signed ? -(2 ** (bitsStored - 1)) : 0;
  for (let i = 0; i < data.length; i++) data[i] = low + ((i * 7919) % 2 ** bitsStored);
  const window = { centre: 40, width: 400, shape: 'LINEAR' as const };
  const source = { monochrome1, slope: 2, intercept: -1024, window, spacing: [0.7, 0.8] };
  return imageOfStoredPixels({ rows: ROWS, columns: COLUMNS, samples: 1, data, bitsStored, signed, source });
}

const IMAGES: Readonly<Record<string, () => PixelImage>> = {
  '12 bits in 16': () => image(new Uint16Array(ROWS * COLUMNS), 12, false),
  '16 bits': () => image(new Uint16Array(ROWS * COLUMNS), 16, false, true),
  '14 bits, signed': () => image(new Int16Array(ROWS * COLUMNS), 14, true),
  '8 bits': () => image(new Uint8Array(ROWS * COLUMNS), 8, false, true),
  '8 bits, signed': () => image(new Int8Array(ROWS * COLUMNS), 8, true),
};

/** Where two arrays part; -1 where they are equal. */
function firstDifference(one: PixelArray, other: PixelArray): number {
  if (one.length !== other.length) return Math.min(one.length, other.length);
  return one.findIndex((value, at) => !Object.is(value, other[at]));
}

const resize = { op: 'resize', rows: 37, columns: 41, antialias: true } as const;
const PIPELINES: readonly (readonly PixelOp[])[] = [
  [{ op: 'modality_values' }],
  [
    { op: 'modality_values' },
    { op: 'clip', min: -1000, max: 400 },
    { op: 'normalise', mean: [-300], std: [700] },
  ],
  [{ op: 'invert_if_monochrome1' }, { op: 'scale', from: 'bits', to: [-1024, 1024] }],
  [{ op: 'modality_values' }, { op: 'window', voi: 'file', to: [0, 255] }, { op: 'invert_if_monochrome1' }],
  [
    { op: 'to_8bit', from: 'bits' },
    { op: 'channels', count: 1 },
  ],
  [{ op: 'scale', from: 'bits', to: [0, 1] }, { op: 'centre_crop_square' }],
  [
    { op: 'crop', rows: 129, columns: 131, at: [1, 3] },
    { op: 'scale', from: [0, 255], to: [0, 1] },
  ],
  [
    { op: 'scale', from: 'bits', to: [-1, 1] },
    { op: 'centre_crop_square' },
    { ...resize, method: 'bilinear' },
  ],
  [{ op: 'modality_values' }, { ...resize, method: 'bicubic' }, { op: 'clip', min: 0, max: 100 }],
  [
    { op: 'clip', min: 5, max: 90 },
    { ...resize, columns: COLUMNS, method: 'lanczos' },
  ],
  [{ op: 'modality_values' }, { ...resize, method: 'nearest' }],
  [
    { op: 'to_8bit', from: 'bits' },
    { ...resize, method: 'bilinear', round_8bit: true },
  ],
  [
    { op: 'scale', from: 'bits', to: [0, 1] },
    { op: 'z_score', over: 'image' },
    { op: 'channels', count: 3 },
  ],
];

describe.each(Object.entries(IMAGES))('%s', (_, make) => {
  test.each(PIPELINES.map((ops) => [ops.map(({ op }) => op).join(', '), ops] as const))(
    'through a table, %s gives the values and their meaning that it gives one by one',
    (_name, ops) => {
      const given = make();
      expect(pointsFirst(given, ops)).not.toBeNull();
      const looked = applyPixels(given, ops);
      // Numbers of 32 bits have too many values for a table; the operations are the same.
      const wide = { ...given, data: Int32Array.from(given.data) };
      expect(pointsFirst(wide, ops)).toBeNull();
      const { data, ...expected } = applyPixels(wide, ops);
      expect(firstDifference(looked.data, data)).toBe(-1);
      expect(looked).toMatchObject(expected);
    },
  );

  test.each<TensorType>(['float32', 'float16', 'int16', 'uint8'])(
    'values looked up straight into a tensor of %s are those of the image written into it',
    (dtype) => {
      for (const pixels of PIPELINES.filter((ops) =>
        ops.every(({ op }) => op !== 'resize' && op !== 'z_score'),
      )) {
        const form = { pixels, dtype, layout: 'DHW' as const };
        const given = make();
        const straight = imageToTensor(given, form);
        const expected = imageToTensor({ ...given, data: Int32Array.from(given.data) }, form);
        expect(straight.image.region).toEqual(expected.image.region);
        expect(straight.image.range).toEqual(expected.image.range);
        const [one, other] = [0, 1].map(() =>
          tensorArray(dtype, straight.image.rows * straight.image.columns),
        );
        straight.write(one!);
        expected.write(other!);
        expect(firstDifference(one!, other!)).toBe(-1);
      }
    },
  );
});

test('Another slope, intercept or window is another table', () => {
  const ops: PixelOp[] = [{ op: 'modality_values' }, { op: 'window', voi: 'file', to: [0, 1] }];
  const given = IMAGES['12 bits in 16']!();
  const changes: Partial<PixelImage['source']>[] = [
    { slope: 3 },
    { intercept: -1000 },
    { window: { centre: 50, width: 400, shape: 'LINEAR' } },
  ];
  const first = applyPixels(given, ops);
  for (const change of changes) {
    const source = { ...given.source, ...change };
    const changed = applyPixels({ ...given, source }, ops);
    expect(changed.data).not.toEqual(first.data);
    expect(changed.data).toEqual(
      applyPixels({ ...given, source, data: Int32Array.from(given.data) }, ops).data,
    );
  }
});

test('A small image, one of three samples and one of real numbers are done one by one', () => {
  const ops: PixelOp[] = [{ op: 'scale', from: 'bits', to: [0, 1] }];
  const given = IMAGES['8 bits']!();
  const small = { ...given, rows: 4, columns: 4, data: given.data.slice(0, 16) };
  expect(pointsFirst(small, ops)).toBeNull();
  expect(pointsFirst({ ...given, columns: COLUMNS / 3, samples: 3 }, ops)).toBeNull();
  expect(pointsFirst({ ...given, data: Float32Array.from(given.data) }, ops)).toBeNull();
  expect(Array.from(applyPixels(small, ops).data)).toEqual(
    Array.from(small.data, (v) => Math.fround(v / 255)),
  );
});

test('a file with a Modality LUT or VOI LUT of its own is never given the table of one without', () => {
  const plain = image(new Uint16Array(ROWS * COLUMNS), 12, false);
  const lut = { first: 0, values: Uint16Array.from({ length: 4096 }, (_, at) => 4095 - at), bits: 12 };
  const ops: PixelOp[] = [{ op: 'modality_values' }];
  const form = { pixels: ops, dtype: 'float32', layout: 'NCHW' } as const;
  const tensorOf = (of: PixelImage) => {
    const target = tensorArray('float32', of.data.length);
    imageToTensor(of, form).write(target);
    return target;
  };
  const straight = tensorOf(plain);
  const looked = tensorOf({ ...plain, source: { ...plain.source, modalityTable: lut } });
  expect(straight[1]).toBe(2 * Number(plain.data[1]) - 1024);
  expect(looked[1]).toBe(4095 - Number(plain.data[1]));
  expect(pointsFirst({ ...plain, source: { ...plain.source, voiTable: lut } }, ops)).toBeNull();
});
