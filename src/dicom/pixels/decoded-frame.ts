import { Failure } from '../../kernel/errors.ts';
import type { PixelDescription } from './pixel-description.ts';

/** What a decoder makes of one frame: samples interleaved, rows from the top. */
export interface DecodedFrame {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Bits of one sample in the code stream. */
  readonly precision: number;
  /** `samples` are bit patterns unless the code stream itself says they are signed numbers. They stand until the thread decodes its next frame. */
  readonly signed: boolean;
  readonly samples: Uint8Array | Uint16Array | Int16Array | Uint32Array;
  /** The decoder turned YCbCr into RGB. */
  readonly rgb: boolean;
}

export type DecodeFrame = (bytes: Uint8Array, description: PixelDescription) => DecodedFrame;

/** Refuses a code stream whose stated size is not that of the data set, or that has more bits, before memory for it is taken. */
export function checkSize(
  found: { width: number; height: number; components: number; precision: number },
  description: PixelDescription,
): void {
  const { rows, columns, samplesPerPixel, bitsAllocated } = description;
  if (found.precision > bitsAllocated) {
    throw new Failure(
      'dicom.pixel-format',
      'The compressed frame has more bits per sample than BitsAllocated.',
    );
  }
  if (found.width === columns && found.height === rows && found.components === samplesPerPixel) return;
  throw new Failure(
    'dicom.pixel-size',
    'The size in the compressed frame is not Rows, Columns and SamplesPerPixel of the data set.',
  );
}
