import { expect, test } from 'vitest';
import type { PixelImage } from './pixel-image.ts';
import { resize } from './resize.ts';

/** 7 × 9 values by a formula; what Pillow 12.3 makes of them, for 8-bit values and for (value − 100) × 1.5 in its mode F. */
const ROWS = 7;
const COLUMNS = 9;
const SOURCE = Uint8Array.from({ length: ROWS * COLUMNS }, (_, at) => {
  const [row, column] = [Math.floor(at / COLUMNS), at % COLUMNS];
  return (column * column * 7 + 13 * column + row * row * 31) % 256;
});
const PILLOW = [
  {
    method: 'nearest',
    rows: 3,
    columns: 4,
    eightBit: [51, 133, 15, 209, 43, 125, 7, 201, 27, 109, 247, 185],
    float: [-73.5, 49.5, -127.5, 163.5, -85.5, 37.5, -139.5, 151.5, -109.5, 13.5, 220.5, 127.5],
  },
  {
    method: 'nearest',
    rows: 10,
    columns: 12,
    eightBit: [
      0, 20, 20, 54, 102, 164, 164, 240, 74, 178, 178, 40, 31, 51, 51, 85, 133, 195, 195, 15, 105, 209, 209,
      71, 31, 51, 51, 85, 133, 195, 195, 15, 105, 209, 209, 71, 124, 144, 144, 178, 226, 32, 32, 108, 198, 46,
      46, 164, 23, 43, 43, 77, 125, 187, 187, 7, 97, 201, 201, 63, 23, 43, 43, 77, 125, 187, 187, 7, 97, 201,
      201, 63, 240, 4, 4, 38, 86, 148, 148, 224, 58, 162, 162, 24, 7, 27, 27, 61, 109, 171, 171, 247, 81, 185,
      185, 47, 7, 27, 27, 61, 109, 171, 171, 247, 81, 185, 185, 47, 92, 112, 112, 146, 194, 0, 0, 76, 166, 14,
      14, 132,
    ],
    float: null,
  },
  {
    method: 'bilinear',
    rows: 3,
    columns: 4,
    eightBit: [59, 124, 127, 122, 78, 120, 116, 117, 72, 110, 139, 99],
    float: [
      -61.1571, 35.8484, 39.6638, 33.4347, -31.7067, 29.378, 23.1585, 25.8681, -41.7367, 15.3397, 57.9564,
      -1.2184,
    ],
  },
  {
    method: 'bilinear',
    rows: 10,
    columns: 12,
    eightBit: [
      0, 13, 33, 60, 96, 141, 193, 219, 95, 139, 126, 40, 17, 30, 50, 77, 113, 158, 157, 113, 94, 156, 143,
      57, 54, 67, 87, 114, 150, 155, 111, 49, 117, 153, 140, 94, 119, 132, 152, 179, 215, 108, 64, 114, 182,
      106, 93, 159, 58, 71, 91, 118, 154, 143, 99, 53, 121, 141, 128, 98, 99, 56, 42, 69, 105, 150, 140, 83,
      84, 148, 135, 49, 228, 89, 18, 45, 81, 126, 178, 204, 80, 124, 111, 25, 65, 38, 34, 61, 97, 142, 194,
      220, 96, 140, 127, 41, 45, 58, 78, 105, 141, 114, 123, 163, 126, 112, 99, 85, 92, 105, 125, 152, 188,
      73, 29, 87, 155, 71, 58, 132,
    ],
    float: null,
  },
  {
    method: 'bicubic',
    rows: 3,
    columns: 4,
    eightBit: [52, 129, 128, 122, 82, 122, 117, 116, 69, 109, 142, 96],
    float: [
      -71.6069, 42.8027, 42.1167, 32.9789, -27.2615, 32.3584, 25.5789, 24.7473, -47.0713, 14.0259, 62.642,
      -5.1397,
    ],
  },
  {
    method: 'bicubic',
    rows: 10,
    columns: 12,
    eightBit: [
      0, 8, 29, 57, 93, 136, 206, 242, 83, 142, 132, 31, 10, 21, 42, 69, 105, 172, 171, 107, 80, 173, 156, 43,
      53, 64, 85, 114, 152, 172, 107, 22, 116, 169, 148, 90, 123, 134, 155, 185, 231, 97, 41, 119, 198, 95,
      80, 170, 41, 64, 94, 121, 161, 155, 90, 30, 125, 152, 132, 99, 97, 46, 28, 61, 96, 168, 150, 61, 69,
      169, 150, 34, 250, 89, 0, 43, 79, 122, 188, 219, 67, 129, 118, 17, 55, 27, 23, 54, 90, 146, 220, 247,
      80, 152, 142, 28, 30, 52, 80, 108, 149, 109, 117, 168, 127, 111, 99, 87, 96, 107, 128, 158, 205, 59, 0,
      79, 171, 57, 41, 144,
    ],
    float: null,
  },
  {
    method: 'lanczos',
    rows: 3,
    columns: 4,
    eightBit: [51, 132, 128, 121, 81, 120, 121, 116, 65, 106, 147, 93],
    float: [
      -73.4161, 47.7668, 42.2657, 31.8033, -28.0622, 30.0927, 32.4036, 23.6236, -52.4803, 9.0942, 70.0323,
      -9.9959,
    ],
  },
  {
    method: 'lanczos',
    rows: 10,
    columns: 12,
    eightBit: [
      0, 10, 32, 59, 97, 123, 217, 247, 85, 137, 134, 28, 3, 13, 36, 61, 94, 180, 185, 98, 66, 190, 161, 28,
      62, 72, 92, 122, 158, 181, 91, 13, 117, 180, 141, 96, 125, 135, 152, 190, 237, 98, 24, 129, 204, 91, 76,
      176, 27, 63, 101, 128, 167, 162, 75, 31, 128, 160, 125, 106, 104, 47, 21, 54, 85, 180, 157, 44, 52, 187,
      152, 20, 254, 96, 0, 48, 81, 114, 201, 219, 67, 128, 122, 12, 64, 27, 17, 48, 83, 139, 249, 255, 73,
      155, 151, 14, 16, 49, 84, 114, 156, 107, 112, 163, 132, 110, 98, 92, 105, 111, 126, 165, 213, 58, 0, 86,
      178, 50, 34, 153,
    ],
    float: null,
  },
  {
    method: 'area',
    rows: 3,
    columns: 4,
    eightBit: [26, 123, 109, 125, 96, 122, 115, 110, 60, 114, 143, 95],
    float: [-111.75, 33.25, 12.75, 36.75, -5.5, 32.8333, 23.0, 15.0, -60.75, 20.25, 63.75, -8.25],
  },
  {
    method: 'area',
    rows: 10,
    columns: 12,
    eightBit: [
      0, 20, 20, 54, 102, 164, 164, 240, 74, 178, 178, 40, 31, 51, 51, 85, 133, 195, 195, 15, 105, 209, 209,
      71, 31, 51, 51, 85, 133, 195, 195, 15, 105, 209, 209, 71, 124, 144, 144, 178, 226, 32, 32, 108, 198, 46,
      46, 164, 23, 43, 43, 77, 125, 187, 187, 7, 97, 201, 201, 63, 23, 43, 43, 77, 125, 187, 187, 7, 97, 201,
      201, 63, 240, 4, 4, 38, 86, 148, 148, 224, 58, 162, 162, 24, 7, 27, 27, 61, 109, 171, 171, 247, 81, 185,
      185, 47, 7, 27, 27, 61, 109, 171, 171, 247, 81, 185, 185, 47, 92, 112, 112, 146, 194, 0, 0, 76, 166, 14,
      14, 132,
    ],
    float: null,
  },
] as const;

const image = (data: PixelImage['data'], rows: number, columns: number, samples: 1 | 3 = 1): PixelImage => ({
  rows,
  columns,
  samples,
  data,
  range: { min: 0, max: 255 },
  region: { row: 0, column: 0, rows, columns },
  source: { monochrome1: false, slope: 1, intercept: 0 },
});

test.each(PILLOW)(
  '$method to $rows × $columns equals Pillow in every 8-bit value',
  ({ method, rows, columns, eightBit }) => {
    const op = { op: 'resize', rows, columns, method, antialias: true, round_8bit: true } as const;
    expect(Array.from(resize(image(SOURCE, ROWS, COLUMNS), op).data)).toEqual([...eightBit]);
  },
);

test.each(PILLOW.filter(({ float }) => float))(
  '$method to $rows × $columns equals Pillow in floating point',
  ({ method, rows, columns, float }) => {
    const source = Float32Array.from(SOURCE, (value) => (value - 100) * 1.5);
    const { data } = resize(image(source, ROWS, COLUMNS), {
      op: 'resize',
      rows,
      columns,
      method,
      antialias: true,
    });
    const worst = Math.max(...Array.from(data, (value, i) => Math.abs(value - (float?.[i] ?? Number.NaN))));
    expect(worst).toBeLessThan(1e-4);
  },
);

test('Three samples are resized each for itself', () => {
  const colour = Uint8Array.from(
    { length: SOURCE.length * 3 },
    (_, at) => SOURCE[Math.floor(at / 3)]! ^ (at % 3 === 1 ? 255 : 0),
  );
  const op = {
    op: 'resize',
    rows: 3,
    columns: 4,
    method: 'bicubic',
    antialias: true,
    round_8bit: true,
  } as const;
  const together = resize(image(colour, ROWS, COLUMNS, 3), op).data;
  const green = resize(
    image(
      SOURCE.map((value) => value ^ 255),
      ROWS,
      COLUMNS,
    ),
    op,
  ).data;
  expect(Array.from(together.filter((_, at) => at % 3 === 1))).toEqual(Array.from(green));
  expect(Array.from(together.filter((_, at) => at % 3 === 0))).toEqual(
    Array.from(resize(image(SOURCE, ROWS, COLUMNS), op).data),
  );
});

test('Without antialiasing, bilinear takes the two neighbours of the half-pixel centre only', () => {
  const line = Float32Array.of(0, 10, 20, 30, 100, 200, 0, 0);
  const { data } = resize(image(line, 1, 8), {
    op: 'resize',
    rows: 1,
    columns: 2,
    method: 'bilinear',
    antialias: false,
  });
  // Centres at 2 and 6 source pixels: half way between pixels 1 and 2, and between 5 and 6.
  expect(Array.from(data)).toEqual([15, 100]);
});

test.each(['area', 'bilinear', 'bicubic', 'lanczos'] as const)(
  '%s keeps a constant image constant at any size',
  (method) => {
    const flat = image(new Float32Array(31 * 17).fill(-1000), 31, 17);
    const { data } = resize(flat, { op: 'resize', rows: 13, columns: 40, method, antialias: true });
    expect(Math.max(...Array.from(data, (value) => Math.abs(value + 1000)))).toBeLessThan(1e-3);
  },
);

test('Values that are not whole are rounded and clipped to 8 bits before an 8-bit resize', () => {
  const values = image(Float32Array.of(-5, 0.5, 254.4, 300), 2, 2);
  const op = {
    op: 'resize',
    rows: 2,
    columns: 2,
    method: 'bilinear',
    antialias: true,
    round_8bit: true,
  } as const;
  expect(Array.from(resize(values, op).data)).toEqual([0, 1, 254, 255]);
});

test('The source is not changed', () => {
  const before = SOURCE.slice();
  resize(image(SOURCE, ROWS, COLUMNS), {
    op: 'resize',
    rows: 4,
    columns: 4,
    method: 'lanczos',
    antialias: true,
    round_8bit: true,
  });
  expect(SOURCE).toEqual(before);
});
