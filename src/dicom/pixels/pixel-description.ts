import { Failure } from '../../kernel/errors.ts';
import type { DicomDataset } from '../dicom-dataset.ts';
import { tagName } from '../reading/decode-values.ts';

/** The Image Pixel module (PS3.3 C.7.6.3), checked: every number is within its limits and fits the others. */
export interface PixelDescription {
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: number;
  readonly frames: number;
  readonly bitsAllocated: 1 | 8 | 16 | 32;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  /** Samples of one colour plane after another (PlanarConfiguration 1). */
  readonly planar: boolean;
  readonly photometricInterpretation: string;
}

/** Larger images are not radiographs but whole slides, which are tiled. */
export const ROWS_MAX = 16_384;
/** A cine of five minutes at 30 frames a second. */
export const FRAMES_MAX = 10_000;
/** Decoded pixels of one file: a CT series of 1,000 slices as one enhanced object. Checked before any allocation. */
export const PIXEL_BYTES_MAX = 512 * 1024 * 1024;

/** Reads and checks. Throws `dicom.pixel-size` (numbers out of range) or `dicom.pixel-format` (not supported). */
export function describePixels(dataset: DicomDataset): PixelDescription {
  const bitsAllocated = integer(dataset, 0x00280100, 1, 64);
  if (bitsAllocated !== 1 && bitsAllocated !== 8 && bitsAllocated !== 16 && bitsAllocated !== 32) {
    throw new Failure('dicom.pixel-format', 'BitsAllocated must be 1, 8, 16 or 32.');
  }
  const samplesPerPixel = integer(dataset, 0x00280002, 1, 4, 1);
  if (samplesPerPixel !== 1 && samplesPerPixel !== 3) {
    throw new Failure('dicom.pixel-format', 'SamplesPerPixel must be 1 or 3.');
  }
  const bitsStored = integer(dataset, 0x00280101, 1, bitsAllocated, bitsAllocated);
  const description: PixelDescription = {
    rows: integer(dataset, 0x00280010, 1, ROWS_MAX),
    columns: integer(dataset, 0x00280011, 1, ROWS_MAX),
    samplesPerPixel,
    frames: integer(dataset, 0x00280008, 1, FRAMES_MAX, 1),
    bitsAllocated,
    bitsStored,
    highBit: integer(dataset, 0x00280102, bitsStored - 1, bitsAllocated - 1, bitsStored - 1),
    signed: integer(dataset, 0x00280103, 0, 1, 0) === 1,
    planar: samplesPerPixel > 1 && integer(dataset, 0x00280006, 0, 1, 0) === 1,
    photometricInterpretation: dataset.string(0x00280004) ?? 'MONOCHROME2',
  };
  if (decodedBytes(description) > BigInt(PIXEL_BYTES_MAX)) {
    throw new Failure('dicom.too-large', `The pixels take more than ${PIXEL_BYTES_MAX} bytes when decoded.`);
  }
  return description;
}

/** Bytes of all frames as values in memory; bits of BitsAllocated 1 become bytes. */
function decodedBytes(description: PixelDescription): bigint {
  const { rows, columns, samplesPerPixel, frames, bitsAllocated } = description;
  const bytes = Math.max(1, bitsAllocated / 8);
  return BigInt(rows) * BigInt(columns) * BigInt(samplesPerPixel) * BigInt(frames) * BigInt(bytes);
}

/** Exactly one integer within limits; absent or empty gives `fallback`, and is refused where there is none. */
function integer(dataset: DicomDataset, tag: number, min: number, max: number, fallback?: number): number {
  const element = dataset.get(tag);
  if ((element === undefined || element.length === 0) && fallback !== undefined) return fallback;
  // Checked before decoding: a hostile element of many megabytes would become a list of millions of numbers.
  const values = element === undefined || element.length > 64 ? [] : dataset.numbers(tag);
  const [value] = values;
  if (values.length !== 1 || value === undefined || !Number.isInteger(value) || value < min || value > max) {
    throw new Failure('dicom.pixel-size', `${tagName(tag)} must be one whole number from ${min} to ${max}.`);
  }
  return value;
}
