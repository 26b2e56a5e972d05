import { Failure } from '../../kernel/errors.ts';
import type { NativePixelData } from '../pixel-data.ts';
import type { PixelDescription } from './pixel-description.ts';
import { newStoredValues, type StoredValues, takeStoredBits, type ValuesMemory } from './stored-values.ts';

/**
 * Uncompressed frames `first` to `first + count - 1` (PS3.5 8.1.1, 8.2). Throws `dicom.pixel-size` when the element is
 * not as long as the description says (one pad byte allowed), `dicom.truncated` when the file is shorter.
 */
export function decodeNative(
  pixelData: NativePixelData,
  description: PixelDescription,
  first: number,
  count: number,
  memory?: ValuesMemory,
): StoredValues {
  checkLength(pixelData, description);
  const samples = frameSamples(description);
  if (description.bitsAllocated === 1) return unpackBits(pixelData, first * samples, count * samples);
  const cell = description.bitsAllocated / 8;
  const bytes = count * samples * cell;
  const from = pixelData.offset + first * samples * cell;
  const values = newStoredValues(description, count * samples, memory);
  const copy = Buffer.from(values.buffer, 0, bytes);
  pixelData.source.copy(copy, 0, from, from + bytes);
  if (!pixelData.littleEndian) swap(copy, cell, pixelData.vr);
  takeStoredBits(values, description);
  return values;
}

/** Samples of one frame as they lie in the file: 4:2:2 has two samples per pixel instead of three. */
function frameSamples({
  rows,
  columns,
  samplesPerPixel,
  photometricInterpretation,
}: PixelDescription): number {
  return rows * columns * (isSubsampled(photometricInterpretation) ? 2 : samplesPerPixel);
}

export function isSubsampled(photometricInterpretation: string): boolean {
  return photometricInterpretation === 'YBR_FULL_422' || photometricInterpretation === 'YBR_PARTIAL_422';
}

function checkLength(pixelData: NativePixelData, description: PixelDescription): void {
  const bits =
    BigInt(frameSamples(description)) * BigInt(description.frames) * BigInt(description.bitsAllocated);
  const bytes = (bits + 7n) / 8n;
  const found = BigInt(pixelData.length);
  if (found !== bytes && found !== bytes + (bytes & 1n)) {
    throw new Failure(
      'dicom.pixel-size',
      'The length of the pixel data is not what Rows, Columns, bits and frames give.',
    );
  }
  if (pixelData.truncated) throw new Failure('dicom.truncated', 'The file ends inside its pixel data.');
}

/** Bits are packed without gaps, also across frames, the first pixel in the lowest bit (PS3.5 8.2). */
function unpackBits(pixelData: NativePixelData, firstBit: number, count: number): Uint8Array {
  const values = new Uint8Array(count);
  for (let at = 0; at < count; at += 1) {
    const bit = firstBit + at;
    values[at] = ((pixelData.source[pixelData.offset + (bit >>> 3)] ?? 0) >>> (bit & 7)) & 1;
  }
  return values;
}

/** Big endian: 8-bit samples in OW lie in swapped pairs (PS3.5 A.3). */
function swap(copy: Buffer, cell: number, vr: string): void {
  if (cell === 4) copy.swap32();
  else if (cell === 2 || (vr === 'OW' && copy.length % 2 === 0)) copy.swap16();
}
