import { deflateSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { outcomeOf } from '../../dicom/fixtures/dicom-bytes.ts';
import { CAPTION_LINES_MAX, captionBelow } from './caption.ts';
import { decodePng } from './decode-png.ts';

function png(columns: number, rows: number, colour: number, lines: readonly number[][], depth = 8): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(columns, 0);
  header.writeUInt32BE(rows, 4);
  header.set([depth, colour, 0, 0, 0], 8);
  const chunk = (type: string, data: Buffer) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(data.length);
    head.write(type, 4, 'latin1');
    return Buffer.concat([head, data, Buffer.alloc(4)]);
  };
  return Buffer.concat([
    Buffer.alloc(8),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(lines.flat()))),
  ]);
}

it('a PNG is read with each of the five filters', () => {
  const rows = [
    [0, 10, 20, 30],
    [1, 10, 10, 10],
    [2, 5, 5, 5],
    [3, 10, 1, 1],
    [4, 1, 1, 1],
  ];
  const { rgb } = decodePng(png(3, 5, 0, rows));
  const grey = [...rgb].filter((_, at) => at % 3 === 0);
  expect(grey).toEqual([10, 20, 30, 10, 20, 30, 15, 25, 35, 17, 22, 29, 18, 23, 30]);
});

it('what is no PNG of ours is refused, a bomb and a giant too', async () => {
  const refused = (bytes: Uint8Array) => outcomeOf(() => decodePng(bytes));
  expect(await refused(Buffer.from('no picture'))).toBe('pacs.not-describable');
  expect(await refused(png(2, 1, 0, [[0, 1, 2]], 16))).toBe('pacs.not-describable');
  expect(await refused(png(2, 1, 3, [[0, 1, 2]]))).toBe('pacs.not-describable');
  expect(await refused(png(100_000, 100_000, 0, [[0]]))).toBe('pacs.not-describable');
  expect(await refused(png(2, 2, 0, [[0, 1, 2]]))).toBe('pacs.not-describable');
});

it('a caption stands below the picture, which stays as it was; long lines go on, and there is an end', () => {
  const picture = { rows: 4, columns: 120, rgb: new Uint8Array(4 * 120 * 3).fill(9) };
  const one = captionBelow(picture, ['AI']);
  expect(one.columns).toBe(120);
  expect(one.rgb.subarray(0, 4 * 120 * 3)).toEqual(picture.rgb);
  expect(one.rgb.subarray(4 * 120 * 3).some((value) => value > 0)).toBe(true);
  const long = captionBelow(picture, ['PRELIMINARY AI RESULT. NOT REVIEWED BY A RADIOLOGIST.']);
  expect(long.rows).toBeGreaterThan(one.rows);
  const endless = captionBelow(
    picture,
    Array.from({ length: 500 }, () => 'LINE'),
  );
  const most = captionBelow(
    picture,
    Array.from({ length: CAPTION_LINES_MAX }, () => 'LINE'),
  );
  expect(endless.rows).toBe(most.rows);
  expect(captionBelow(picture, [])).toBe(picture);
});
