import { decode } from 'fast-png';
import { expect, test } from 'vitest';
import { drawKeyPicture, type KeyPictureArgs } from './draw-key-picture.ts';
import { imageOfStoredPixels } from './pixels/pixel-image.ts';
import { PREVIEW_SIDE_MAX, previewOf } from './pixels/preview.ts';

const BORDER = [90, 200, 255];

type MaskArgs = Extract<KeyPictureArgs, { kind: 'mask' }>;

/** Slices of −1000 with a square of 0 in the middle; the mask covers the square on the slices named. */
function volume(
  slices: number,
  size: number,
  region: (slice: number, y: number, x: number) => number,
): MaskArgs {
  const bytes = new SharedArrayBuffer(slices * size * size * 2);
  const image = new Int16Array(bytes);
  const mask = new Uint8Array(image.length);
  for (let at = 0; at < image.length; at++) {
    const [slice, y, x] = [Math.floor(at / size / size), Math.floor(at / size) % size, at % size];
    mask[at] = region(slice, y, x);
    image[at] = mask[at] ? 0 : -1000;
  }
  return { kind: 'mask', image: { dtype: 'int16', bytes }, mask, dims: [slices, size, size] };
}

function pixelsOf(args: KeyPictureArgs) {
  const { png, slice } = drawKeyPicture(args);
  const picture = decode(png);
  const at = (y: number, x: number) =>
    Array.from(
      picture.data.subarray((y * picture.width + x) * picture.channels).subarray(0, picture.channels),
    );
  return { ...picture, slice, at, bytes: png.length };
}

test('The slice with most of the mask is drawn, its border as a line and the rest as it is', () => {
  const inside = (slice: number, y: number, x: number) =>
    slice === 2 && y >= 8 && y < 24 && x >= 8 && x < 24 ? 1 : slice === 4 && y === 9 && x === 9 ? 1 : 0;
  const picture = pixelsOf(volume(6, 32, inside));
  expect(picture.slice).toBe(2);
  expect([picture.width, picture.height, picture.channels]).toEqual([32, 32, 3]);
  expect(picture.at(8, 8)).toEqual(BORDER);
  expect(picture.at(23, 15)).toEqual(BORDER);
  expect(picture.at(15, 15)[0]).toBe(picture.at(15, 15)[2]);
  expect(picture.at(0, 0)).toEqual([0, 0, 0]);
});

test('Voxels of value 2 are tinted so that what is under them still shows', () => {
  const args = volume(1, 32, (_, y, x) => (y >= 4 && y < 28 && x >= 4 && x < 28 ? (x < 16 ? 1 : 2) : 0));
  new Int16Array(args.image.bytes).forEach((value, at, all) => {
    all[at] = value === 0 && at % 2 === 0 ? -500 : value;
  });
  const picture = pixelsOf(args);
  const [dark, bright] = [picture.at(16, 20), picture.at(16, 21)];
  expect(dark[0]! - dark[2]!).toBeGreaterThan(60);
  expect(bright[0]! - bright[2]!).toBeGreaterThan(60);
  expect(bright[1]! - dark[1]!).toBeGreaterThan(20);
});

test('A region at the edge of the image has its border there', () => {
  const picture = pixelsOf(volume(1, 16, (_, y) => (y < 8 ? 1 : 0)));
  expect(picture.at(0, 5)).toEqual(BORDER);
  expect(picture.at(5, 0)).toEqual(BORDER);
});

test('An empty mask gives the middle slice without a line', () => {
  const args = volume(5, 16, () => 0);
  new Int16Array(args.image.bytes).forEach((_, at, all) => {
    all[at] = at % 97;
  });
  const picture = pixelsOf(args);
  expect(picture.slice).toBe(2);
  expect(
    Array.from(picture.data)
      .filter((_, i) => i % 3 === 0)
      .every((red, i) => red === picture.data[i * 3 + 2]),
  ).toBe(true);
});

test('A large slice is made small, mask and all', () => {
  const picture = pixelsOf(volume(1, 1500, (_, y, x) => (Math.hypot(y - 750, x - 750) < 500 ? 1 : 0)));
  expect([picture.width, picture.height]).toEqual([PREVIEW_SIDE_MAX, PREVIEW_SIDE_MAX]);
  expect(picture.at(384, 384 - 255)).toEqual(BORDER);
  expect(picture.bytes).toBeLessThan(PREVIEW_SIDE_MAX ** 2);
});

const stored = (rows: number, columns: number, monochrome1 = false) =>
  imageOfStoredPixels({
    rows,
    columns,
    samples: 1,
    data: Uint16Array.from({ length: rows * columns }, (_, at) => (at % columns) * 4),
    bitsStored: 12,
    signed: false,
    source: { monochrome1, slope: 1, intercept: 0 },
  });

test('An image that the model saw whole is shown in grey, without a line', () => {
  const image = stored(100, 200);
  const picture = pixelsOf({ kind: 'preview', preview: previewOf(image, null, image.region) });
  expect([picture.width, picture.height, picture.channels]).toEqual([200, 100, 1]);
  expect([picture.at(50, 0), picture.at(50, 199)]).toEqual([[0], [255]]);
});

test('What the model saw of a cropped image is outlined, in the picture’s own scale', () => {
  const image = stored(1000, 2000);
  const picture = pixelsOf({
    kind: 'preview',
    preview: previewOf(image, null, { row: 0, column: 500, rows: 1000, columns: 1000 }),
  });
  expect([picture.width, picture.height, picture.channels]).toEqual([666, 333, 3]);
  expect([picture.at(200, 167), picture.at(200, 499), picture.at(0, 300)]).toEqual([BORDER, BORDER, BORDER]);
  expect(picture.at(200, 170)).not.toEqual(BORDER);
  expect(picture.at(200, 165)).not.toEqual(BORDER);
});

test('The file’s window is used as PS3.3 C.11.2.1.2 says, and MONOCHROME1 is turned after it', () => {
  const window = { centre: 100, width: 101, shape: 'LINEAR' } as const;
  const image = stored(1, 60);
  const { data } = previewOf(image, window, image.region);
  // x ≤ 100 − 0.5 − 50 = 49.5 is black, x > 149.5 is white.
  expect([data[12], data[13], data[25], data[37], data[38]]).toEqual([0, 6, 129, 251, 255]);
  const turned = previewOf(stored(1, 60, true), window, image.region).data;
  expect([turned[12], turned[13], turned[38]]).toEqual([255, 249, 0]);
});

test('A window of width 1 and an image of one value draw without NaN', () => {
  const image = stored(1, 4);
  expect(Array.from(previewOf(image, { centre: 5, width: 1, shape: 'LINEAR' }, image.region).data)).toEqual([
    0, 0, 255, 255,
  ]);
  const flat = { ...image, data: new Uint16Array(4).fill(9) };
  expect(Array.from(previewOf(flat, null, flat.region).data)).toEqual([0, 0, 0, 0]);
});
