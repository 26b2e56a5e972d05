import { Failure } from '../kernel/errors.ts';
import type { EncapsulatedPixelData, NativePixelData } from './pixel-data.ts';
import type { DecodedFrame, DecodeFrame } from './pixels/decoded-frame.ts';
import { frameBytes } from './pixels/frame-bytes.ts';
import { interleave } from './pixels/interleave.ts';
import { decodeNative, isSubsampled } from './pixels/native.ts';
import { describePixels, type PixelDescription } from './pixels/pixel-description.ts';
import { newStoredValues, putFrame, type StoredValues, type ValuesMemory } from './pixels/stored-values.ts';
import type { Part10 } from './read-part10.ts';
import { findTransferSyntax, type TransferSyntax } from './transfer-syntax.ts';

export { type StoredValues, ValuesMemory } from './pixels/stored-values.ts';

/** Stored values of one or more frames. */
export interface DecodedPixels {
  readonly rows: number;
  readonly columns: number;
  /** 1, or 3 with the samples of a pixel side by side, however they lie in the file. */
  readonly samplesPerPixel: number;
  /** Frames in `values`. */
  readonly frames: number;
  readonly bitsStored: number;
  readonly signed: boolean;
  /**
   * Of `values`: as in the file, but `RGB` where a decoder undid the colour transformation of its code stream, and
   * `YBR_FULL` (of the retired `YBR_PARTIAL_422`: `YBR_PARTIAL`) where 4:2:2 was spread out.
   */
  readonly photometricInterpretation: string;
  /** Frame after frame, row after row; no rescale, no inversion. Its buffer is its own and may be transferred, unless `memory` was given. */
  readonly values: StoredValues;
}

export interface DecodeOptions {
  /** Counted from 0; all frames when left out. */
  readonly frame?: number;
  /** Where the values are put; they stand there until the memory is used again. */
  readonly memory?: ValuesMemory;
}

/** Which frames, and where to. */
interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly memory: ValuesMemory | undefined;
}

/**
 * Decodes all frames, or the one asked for (counted from 0). Everything stated is checked before memory is taken. Throws
 * `dicom.no-pixels`, `dicom.transfer-syntax` (names the UID), `dicom.pixel-format`, `dicom.pixel-size`,
 * `dicom.too-large`, `dicom.truncated`, `dicom.codestream`. Decoders are loaded the first time their format occurs.
 */
export async function decodePixels(part10: Part10, options: DecodeOptions = {}): Promise<DecodedPixels> {
  const { pixelData, dataset, transferSyntaxUid } = part10;
  if (pixelData === null) throw new Failure('dicom.no-pixels', 'The file has no pixel data.');
  if (pixelData.tag !== PIXEL_DATA) {
    throw new Failure('dicom.pixel-format', 'Floating point pixel data is not decoded.');
  }
  const description = describePixels(dataset);
  const first = options.frame ?? 0;
  const count = options.frame === undefined ? description.frames : 1;
  if (!Number.isInteger(first) || first < 0 || first >= description.frames) {
    throw new Failure(
      'dicom.pixel-size',
      `The image has ${description.frames} frame(s); ask for one of them.`,
    );
  }
  const syntax = findTransferSyntax(transferSyntaxUid);
  if (syntax === undefined) {
    throw new Failure(
      'dicom.transfer-syntax',
      `Pixels in transfer syntax ${uidOrNothing(transferSyntaxUid)} are not decoded.`,
    );
  }
  const wanted = { first, count, memory: options.memory };
  if (pixelData.kind === 'native' && syntax.packing === 'native')
    return native(pixelData, description, wanted);
  if (pixelData.kind === 'encapsulated' && syntax.packing !== 'native')
    return await encapsulated(pixelData, description, syntax, wanted);
  throw new Failure('dicom.pixel-format', 'The pixel data is not packed as its transfer syntax says.');
}

const PIXEL_DATA = 0x7fe00010;

/** A UID that is one, so that nothing else gets into a message. */
function uidOrNothing(uid: string): string {
  return /^[0-9.]{1,64}$/.test(uid) ? uid : '(not a UID)';
}

function native(
  pixelData: NativePixelData,
  description: PixelDescription,
  { first, count, memory }: Wanted,
): DecodedPixels {
  const { rows, columns, samplesPerPixel, planar, photometricInterpretation } = description;
  const values = decodeNative(pixelData, description, first, count, memory);
  if (isSubsampled(photometricInterpretation) && samplesPerPixel === 3) {
    const spread = photometricInterpretation.replace('_422', '');
    return result(description, count, spread422(values, description, count), spread);
  }
  if (planar) {
    const size = rows * columns * samplesPerPixel;
    for (let at = 0; at < values.length; at += size)
      interleave(values.subarray(at, at + size), samplesPerPixel);
  }
  return result(description, count, values, photometricInterpretation);
}

async function encapsulated(
  pixelData: EncapsulatedPixelData,
  description: PixelDescription,
  syntax: TransferSyntax,
  { first, count, memory }: Wanted,
): Promise<DecodedPixels> {
  const decode = await loadDecoder(syntax);
  const frames = frameBytes(pixelData, description.frames, first, count);
  const size = description.rows * description.columns * description.samplesPerPixel;
  // The first frame is decoded before memory for all is taken: a false frame costs one frame, not the stated 512 MB.
  let values: StoredValues | null = null;
  let rgb = false;
  for (const [index, bytes] of frames.entries()) {
    const frame = decode(bytes, description);
    checkDecoded(frame, description);
    values ??= newStoredValues(description, size * count, memory);
    putFrame(values, index * size, frame, description, syntax.lossy);
    rgb = frame.rgb;
  }
  if (values === null) throw new Failure('dicom.no-pixels', 'The pixel data holds no frame.');
  return result(description, count, values, rgb ? 'RGB' : description.photometricInterpretation);
}

/** The header was checked before decoding; a decoder that met a broken stream may still give something else. */
function checkDecoded(
  frame: DecodedFrame,
  { rows, columns, samplesPerPixel, bitsAllocated }: PixelDescription,
): void {
  const complete = frame.width === columns && frame.height === rows && frame.components === samplesPerPixel;
  if (!complete || frame.samples.length !== rows * columns * samplesPerPixel) {
    throw new Failure(
      'dicom.codestream',
      'The compressed frame is broken: it does not decode to the size it states.',
    );
  }
  if (frame.precision > bitsAllocated) {
    throw new Failure(
      'dicom.pixel-format',
      'The compressed frame has more bits per sample than BitsAllocated.',
    );
  }
}

async function loadDecoder(syntax: TransferSyntax): Promise<DecodeFrame> {
  switch (syntax.packing) {
    case 'jpeg':
      return await (await import('./pixels/jpeg.ts')).loadJpeg();
    case 'jpeg-ls':
      return await (await import('./pixels/jpeg-ls.ts')).loadJpegLs();
    case 'jpeg-2000':
    case 'htj2k':
      return await (await import('./pixels/jpeg-2000.ts')).loadJpeg2000(syntax.packing);
    default:
      return (await import('./pixels/rle.ts')).decodeRle;
  }
}

/** Y1 Y2 Cb Cr for two pixels (PS3.3 C.7.6.3.1.2) → three samples for each. */
function spread422(pairs: StoredValues, description: PixelDescription, count: number): StoredValues {
  const values = newStoredValues(description, description.rows * description.columns * 3 * count);
  for (let from = 0, to = 0; from + 3 < pairs.length; from += 4) {
    const blue = pairs[from + 2] ?? 0;
    const red = pairs[from + 3] ?? 0;
    values.set([pairs[from] ?? 0, blue, red, pairs[from + 1] ?? 0, blue, red], to);
    to += 6;
  }
  return values;
}

function result(
  description: PixelDescription,
  frames: number,
  values: StoredValues,
  photometricInterpretation: string,
): DecodedPixels {
  const { rows, columns, samplesPerPixel, bitsStored, signed } = description;
  return { rows, columns, samplesPerPixel, frames, bitsStored, signed, photometricInterpretation, values };
}
