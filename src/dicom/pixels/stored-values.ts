import type { DecodedFrame } from './decoded-frame.ts';
import type { PixelDescription } from './pixel-description.ts';
import { keepBits } from './stored-bits-program.ts';

/** Stored values: what the scanner wrote, before any modality or VOI transformation. */
export type StoredValues = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/**
 * Memory for the values of one image after the other: fresh memory for each costs more than filling it does, in pages that the system must clear.
 * What is decoded into it stands until the next image is.
 */
export class ValuesMemory {
  private buffer = new ArrayBuffer(0);

  take(bytes: number): ArrayBuffer {
    if (this.buffer.byteLength < bytes) this.buffer = new ArrayBuffer(bytes);
    return this.buffer;
  }

  get byteLength(): number {
    return this.buffer.byteLength;
  }
}

/** An array for the whole image, in memory of its own when none is given; what stands in given memory is left over from before. */
export function newStoredValues(
  { bitsAllocated, signed }: PixelDescription,
  length: number,
  memory?: ValuesMemory,
): StoredValues {
  const bytes = length * Math.max(1, bitsAllocated / 8);
  const buffer = memory?.take(bytes) ?? new ArrayBuffer(bytes);
  if (bitsAllocated === 32) return new (signed ? Int32Array : Uint32Array)(buffer, 0, length);
  if (bitsAllocated === 16) return new (signed ? Int16Array : Uint16Array)(buffer, 0, length);
  return new (signed && bitsAllocated === 8 ? Int8Array : Uint8Array)(buffer, 0, length);
}

/**
 * Takes the stored bits out of their cells in place and extends the sign (PS3.5 8.1.1): bits above HighBit may hold
 * overlays, bits below it are shifted out.
 */
export function takeStoredBits(values: StoredValues, description: PixelDescription): void {
  const { bitsAllocated, bitsStored, highBit, signed } = description;
  if (bitsStored === bitsAllocated || bitsAllocated === 1) return;
  const whole = values.byteOffset % 4 === 0 && values.byteLength % 4 === 0;
  if (!signed && highBit === bitsStored - 1 && whole) {
    takeLowBits(values, description);
    return;
  }
  const up = 31 - highBit;
  const down = 32 - bitsStored;
  for (let at = 0; at < values.length; at += BLOCK) {
    const block = values.subarray(at, at + BLOCK);
    if (signed) shiftSigned(block, up, down);
    else shiftUnsigned(block, up, down);
  }
}

/** Blocks in calls of their own: V8 optimizes what is called often. */
const BLOCK = 4096;

function shiftSigned(block: StoredValues, up: number, down: number): void {
  for (let at = 0; at < block.length; at += 1) block[at] = (block[at]! << up) >> down;
}

function shiftUnsigned(block: StoredValues, up: number, down: number): void {
  for (let at = 0; at < block.length; at += 1) block[at] = (block[at]! << up) >>> down;
}

/** The same for the usual place of the stored bits. */
function takeLowBits(values: StoredValues, { bitsAllocated, bitsStored }: PixelDescription): void {
  let mask = 2 ** bitsStored - 1;
  for (let width = bitsAllocated; width < 32; width *= 2) mask += mask * 2 ** width;
  keepBits(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), mask | 0);
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
