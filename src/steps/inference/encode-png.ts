import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** Greyscale and RGB (PNG third edition, 11.2.1). */
const COLOUR_TYPE = { 1: 0, 3: 2 } as const;
/** The noise of an image does not compress; level 6 takes four times as long for a twentieth less. */
const LEVEL = 1;

/**
 * An 8-bit PNG, greyscale or RGB, with zlib's own compressor: a twentieth of the time of one in JavaScript, and this stands between a study
 * and its result. Every line is the difference to the one above it ("Up"), which halves the size of a radiograph.
 */
export function encodePng(
  rows: number,
  columns: number,
  data: Uint8Array,
  channels: 1 | 3,
): Uint8Array<ArrayBuffer> {
  const width = columns * channels;
  const lines = Buffer.allocUnsafe(rows * (width + 1));
  for (let row = 0; row < rows; row += 1) {
    const to = row * (width + 1);
    lines[to] = 2;
    for (let x = 0; x < width; x += 1) {
      const above = row === 0 ? 0 : (data[(row - 1) * width + x] as number);
      lines[to + 1 + x] = (data[row * width + x] as number) - above;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(columns, 0);
  header.writeUInt32BE(rows, 4);
  header.set([8, COLOUR_TYPE[channels], 0, 0, 0], 8);
  return Uint8Array.from(
    Buffer.concat([
      SIGNATURE,
      chunk('IHDR', header),
      chunk('IDAT', deflateSync(lines, { level: LEVEL })),
      chunk('IEND', Buffer.alloc(0)),
    ]),
  );
}

function chunk(type: string, data: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(12 + data.length);
  framed.writeUInt32BE(data.length, 0);
  framed.write(type, 4, 'latin1');
  framed.set(data, 8);
  framed.writeUInt32BE(crc32(framed.subarray(4, 8 + data.length)), 8 + data.length);
  return framed;
}
