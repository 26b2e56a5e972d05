import { describe, expect, test } from 'vitest';
import { imageOfStoredPixels } from './pixel-image.ts';
import { tensorDims, tensorSlice, writeTensor } from './tensor-layout.ts';
import { toFloat16 } from './to-float16.ts';
import { type SliceGeometry, volumeSpacing } from './volume-spacing.ts';

const colour = imageOfStoredPixels({
  rows: 1,
  columns: 2,
  samples: 3,
  data: Uint8Array.of(1, 2, 3, 4, 5, 6),
  bitsStored: 8,
  signed: false,
  source: { monochrome1: false, slope: 1, intercept: 0 },
});

describe('layout', () => {
  test('NHWC keeps samples together, NCHW takes them apart into planes', () => {
    const target = new Float32Array(6);
    writeTensor(colour, target, 'float32', 'NHWC');
    expect(Array.from(target)).toEqual([1, 2, 3, 4, 5, 6]);
    writeTensor(colour, target, 'float32', 'NCHW');
    expect(Array.from(target)).toEqual([1, 4, 2, 5, 3, 6]);
  });
  test('Dimensions of each layout', () => {
    const grey = { rows: 4, columns: 5, samples: 1 } as const;
    expect(tensorDims(colour, 1, 'NCHW')).toEqual([1, 3, 1, 2]);
    expect(tensorDims(colour, 1, 'NHWC')).toEqual([1, 1, 2, 3]);
    expect(tensorDims(grey, 7, 'DHW')).toEqual([7, 4, 5]);
    expect(tensorDims(grey, 7, 'NCDHW')).toEqual([1, 1, 7, 4, 5]);
  });
  test('Several images in a single-image layout and colour in a volume are refused by name', () => {
    for (const wrong of [() => tensorDims(colour, 2, 'NCHW'), () => tensorDims(colour, 2, 'DHW')]) {
      expect(wrong).toThrowError(expect.objectContaining({ code: 'inference.input-shape' }));
    }
  });
  test('Whole-number types get the nearest value and hold at their limits', () => {
    const image = { ...colour, samples: 1 as const, columns: 4, data: Float32Array.of(-1e6, -0.5, 0.5, 1e6) };
    const int16 = new Int16Array(4);
    writeTensor(image, int16, 'int16', 'DHW');
    expect(Array.from(int16)).toEqual([-32768, 0, 1, 32767]);
    const uint8 = new Uint8Array(4);
    writeTensor(image, uint8, 'uint8', 'DHW');
    expect(Array.from(uint8)).toEqual([0, 0, 1, 255]);
  });
  test('A slice of shared memory lies at its index', () => {
    const memory = new SharedArrayBuffer(24);
    tensorSlice(memory, 'int16', 4, 2).set([1, 2, 3, 4]);
    expect(Array.from(new Int16Array(memory))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
  });
});

test.each([
  [0, 0x0000],
  [1, 0x3c00],
  [-2, 0xc000],
  [0.1, 0x2e66],
  [65504, 0x7bff],
  [65519, 0x7bff],
  [65520, 0x7c00],
  [-1e9, 0xfc00],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000],
  [3 * 2 ** -25, 0x0002],
  [2 ** -14, 0x0400],
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
])('%d as float16 has the bits %i', (value, bits) => {
  expect(toFloat16(value)).toBe(bits);
});

describe('spacing', () => {
  const slice = (z: number, changes: Partial<SliceGeometry> = {}): SliceGeometry => ({
    position: [0, 0, z],
    orientation: [1, 0, 0, 0, 1, 0],
    pixelSpacing: [0.7, 0.8],
    thickness: 5,
    shrink: [1, 1],
    ...changes,
  });
  test('The slice distance comes from the positions, not from the thickness', () => {
    expect(volumeSpacing([slice(10), slice(8.75), slice(7.5)])).toEqual([1.25, 0.7, 0.8]);
  });
  test('In a tilted stack it is measured along the normal', () => {
    const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
    const tilted = { orientation: [1, 0, 0, 0, c, s] };
    const at = (z: number) => slice(z, { ...tilted, position: [3, 4, z] });
    expect(volumeSpacing([at(0), at(2)])[0]).toBeCloseTo(2 * c, 12);
  });
  test('A resized image has wider pixels', () => {
    const shrunk = { shrink: [2, 4] as const };
    expect(volumeSpacing([slice(0, shrunk), slice(1, shrunk)])).toEqual([1, 1.4, 3.2]);
  });
  test('One slice alone has its thickness', () => {
    expect(volumeSpacing([slice(3)])[0]).toBe(5);
  });
  test.each([
    ['no pixel spacing', [slice(0, { pixelSpacing: null }), slice(1)]],
    ['a pixel spacing of 0', [slice(0, { pixelSpacing: [0, 1] }), slice(1)]],
    ['no position', [slice(0, { position: null }), slice(1)]],
    ['no orientation', [slice(0, { orientation: null }), slice(1)]],
    ['all slices in one place', [slice(2), slice(2)]],
    ['one slice without thickness', [slice(2, { thickness: null })]],
  ])('A series with %s is refused by name', (_, slices) => {
    expect(() => volumeSpacing(slices)).toThrowError(
      expect.objectContaining({ code: 'inference.spacing-missing' }),
    );
  });
});
