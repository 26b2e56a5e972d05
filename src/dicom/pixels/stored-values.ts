import type { DecodedFrame } from './decoded-frame.ts';
import type { PixelDescription } from './pixel-description.ts';

/** Stored values: what the scanner wrote, before any modality or VOI transformation. */
export type StoredValues = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** An array for the whole image. */
export function newStoredValues(description: PixelDescription, length: number): StoredValues {
  const { bitsAllocated, signed } = description;
  if (bitsAllocated === 32) return signed ? new Int32Array(length) : new Uint32Array(length);
  if (bitsAllocated === 16) return signed ? new Int16Array(length) : new Uint16Array(length);
  return signed && bitsAllocated === 8 ? new Int8Array(length) : new Uint8Array(length);
}

/**
 * Takes the stored bits out of their cells in place and extends the sign (PS3.5 8.1.1): bits above HighBit may hold
 * overlays, bits below it are shifted out.
 */
export function takeStoredBits(values: StoredValues, description: PixelDescription): void {
  const { bitsAllocated, bitsStored, highBit, signed } = description;
  if (bitsStored === bitsAllocated || bitsAllocated === 1) return;
  const up = 31 - highBit;
  const down = 32 - bitsStored;
  if (signed) for (let at = 0; at < values.length; at += 1) values[at] = ((values[at] ?? 0) << up) >> down;
  else for (let at = 0; at < values.length; at += 1) values[at] = ((values[at] ?? 0) << up) >>> down;
}

/**
 * Puts a decoded frame at `start`. Lossless code streams carry the cells, so their stored bits are taken out of them.
 * Lossy ones overshoot: there a value beyond BitsStored is held at the limit, because cutting its upper bits off would
 * turn white into black.
 */
export function putFrame(
  values: StoredValues,
  start: number,
  frame: DecodedFrame,
  description: PixelDescription,
  lossy: boolean,
): void {
  const target = values.subarray(start, start + frame.samples.length);
  const fits = isStoredAlready(frame, description);
  if (!fits && (frame.signed || (lossy && !description.signed))) {
    putClamped(target, frame.samples, description);
    return;
  }
  target.set(frame.samples);
  if (!fits) takeStoredBits(target, description);
}

/** An unsigned code stream of no more bits than are stored has nothing above them. */
function isStoredAlready(frame: DecodedFrame, { bitsStored, highBit, signed }: PixelDescription): boolean {
  return !signed && !frame.signed && highBit === bitsStored - 1 && frame.precision <= bitsStored;
}

function putClamped(
  target: StoredValues,
  samples: DecodedFrame['samples'],
  description: PixelDescription,
): void {
  const { bitsStored, signed } = description;
  const max = signed ? 2 ** (bitsStored - 1) - 1 : 2 ** bitsStored - 1;
  const min = signed ? -(2 ** (bitsStored - 1)) : 0;
  for (let at = 0; at < samples.length; at += 1) target[at] = Math.max(min, Math.min(max, samples[at] ?? 0));
}
