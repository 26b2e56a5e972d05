import { Failure } from '../../kernel/errors.ts';
import type { DecodedFrame } from './decoded-frame.ts';
import type { PixelDescription } from './pixel-description.ts';

/** RLE Lossless (PS3.5 Annex G): a segment per byte of each sample, most significant first, PackBits in each. */
export function decodeRle(bytes: Uint8Array, description: PixelDescription): DecodedFrame {
  const { rows, columns, samplesPerPixel, bitsAllocated } = description;
  const cell = Math.max(1, bitsAllocated / 8);
  const starts = segmentStarts(bytes, samplesPerPixel * cell);
  const pixels = rows * columns;
  const packed = bitsAllocated === 1;
  const planeBytes = packed ? Math.ceil(pixels / 8) : pixels;
  checkDensity(bytes, planeBytes * starts.length);
  const plane = new Uint8Array(planeBytes);
  const samples = newSamples(cell, pixels * samplesPerPixel);
  for (const [segment, start] of starts.entries()) {
    unpack(bytes.subarray(start, starts[segment + 1] ?? bytes.length), plane);
    if (packed) spreadBits(plane, samples);
    else
      spread(plane, samples, Math.floor(segment / cell), samplesPerPixel, 8 * (cell - 1 - (segment % cell)));
  }
  const precision = bitsAllocated;
  return {
    width: columns,
    height: rows,
    components: samplesPerPixel,
    precision,
    signed: false,
    samples,
    rgb: false,
  };
}

function newSamples(cell: number, length: number): Samples {
  if (cell === 4) return new Uint32Array(length);
  return cell === 2 ? new Uint16Array(length) : new Uint8Array(length);
}

type Samples = Uint8Array | Uint16Array | Uint32Array;

/** Fifteen segments fit; three samples of 32 bits would take twelve. */
const HEADER_BYTES = 64;

function segmentStarts(bytes: Uint8Array, segments: number): number[] {
  if (bytes.length < HEADER_BYTES)
    throw new Failure('dicom.codestream', 'An RLE frame is shorter than its header.');
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (header.getUint32(0, true) !== segments) {
    throw new Failure(
      'dicom.pixel-size',
      'The number of RLE segments is not SamplesPerPixel times bytes per sample.',
    );
  }
  const starts: number[] = [];
  for (let segment = 1; segment <= segments; segment += 1) starts.push(header.getUint32(4 * segment, true));
  if (starts.some((start, index) => start < (starts[index - 1] ?? HEADER_BYTES) || start > bytes.length)) {
    throw new Failure('dicom.codestream', 'The RLE segments lie outside their frame.');
  }
  return starts;
}

/** Two bytes make 128 at most: a few bytes cannot fill a large image, which is seen before its memory is taken. */
function checkDensity(bytes: Uint8Array, unpacked: number): void {
  if (unpacked > (bytes.length - HEADER_BYTES) * 64) {
    throw new Failure('dicom.codestream', 'The RLE frame is too short for the size of the image.');
  }
}

/** PackBits (PS3.5 G.3.2). The plane must be filled exactly; encoders may add a pad byte, which is not read. */
function unpack(packed: Uint8Array, plane: Uint8Array): void {
  let at = 0;
  let to = 0;
  while (to < plane.length) {
    if (at >= packed.length)
      throw new Failure('dicom.codestream', 'An RLE segment ends before its plane is full.');
    const control = packed[at] ?? 0;
    at += 1;
    if (control === 128) continue;
    const count = control < 128 ? control + 1 : 257 - control;
    if (count > plane.length - to)
      throw new Failure('dicom.codestream', 'An RLE segment is larger than its plane.');
    if (control < 128) {
      if (count > packed.length - at)
        throw new Failure('dicom.codestream', 'An RLE segment ends inside a run.');
      plane.set(packed.subarray(at, at + count), to);
      at += count;
    } else {
      plane.fill(packed[at] ?? 0, to, to + count);
      at += 1;
    }
    to += count;
  }
}

function spread(plane: Uint8Array, samples: Samples, sample: number, stride: number, shift: number): void {
  for (let at = 0, to = sample; at < plane.length; at += 1, to += stride) {
    samples[to] = (samples[to] ?? 0) | ((plane[at] ?? 0) << shift);
  }
}

function spreadBits(plane: Uint8Array, samples: Samples): void {
  for (let at = 0; at < samples.length; at += 1) samples[at] = ((plane[at >>> 3] ?? 0) >>> (at & 7)) & 1;
}
