import { inflateSync } from 'node:zlib';
import { Failure } from '../../kernel/errors.ts';

export interface Picture {
  readonly rows: number;
  readonly columns: number;
  /** Three bytes per pixel, row by row. */
  readonly rgb: Uint8Array;
}

/** Key pictures are smaller than 1,024 pixels a side. */
export const PICTURE_SIDE_MAX = 4_096;

/** Reads a PNG of ours: 8 bits, greyscale or RGB, not interlaced (PNG third edition). Throws `pacs.not-describable` for any other. */
export function decodePng(png: Uint8Array): Picture {
  const file = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  const chunks: Buffer[] = [];
  let header: Buffer | null = null;
  for (let at = 8; at + 12 <= file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const data = file.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') header = data;
    if (type === 'IDAT') chunks.push(data);
    at += 12 + length;
  }
  const columns = header?.readUInt32BE(0) ?? 0;
  const rows = header?.readUInt32BE(4) ?? 0;
  const channels = header?.[9] === 0 ? 1 : header?.[9] === 2 ? 3 : 0;
  const plain = header?.[8] === 8 && header[12] === 0 && channels > 0;
  if (!plain || rows < 1 || columns < 1 || Math.max(rows, columns) > PICTURE_SIDE_MAX) throw unreadable();
  const width = columns * channels;
  const lines = inflateSync(Buffer.concat(chunks), { maxOutputLength: rows * (width + 1) });
  if (lines.length !== rows * (width + 1)) throw unreadable();
  return { rows, columns, rgb: toRgb(unfilter(lines, rows, width, channels), channels) };
}

function unfilter(lines: Buffer, rows: number, width: number, channels: number): Uint8Array {
  const pixels = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const filter = lines[row * (width + 1)]!;
    if (filter > 4) throw unreadable();
    for (let x = 0; x < width; x++) {
      const at = row * width + x;
      const left = x < channels ? 0 : pixels[at - channels]!;
      const above = row === 0 ? 0 : pixels[at - width]!;
      const corner = x < channels || row === 0 ? 0 : pixels[at - width - channels]!;
      pixels[at] = lines[row * (width + 1) + 1 + x]! + predicted(filter, left, above, corner);
    }
  }
  return pixels;
}

/** Filter types 0 to 4: none, sub, up, average, Paeth. */
function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const guess = left + above - corner;
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((value) => Math.abs(guess - value));
  if (toLeft! <= toAbove! && toLeft! <= toCorner!) return left;
  return toAbove! <= toCorner! ? above : corner;
}

function toRgb(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return pixels;
  const rgb = new Uint8Array(pixels.length * 3);
  for (let i = 0; i < pixels.length; i++) rgb.fill(pixels[i]!, i * 3, i * 3 + 3);
  return rgb;
}

const unreadable = (): Failure =>
  new Failure('pacs.not-describable', 'The key picture is no PNG of 8 bits, greyscale or RGB.');
