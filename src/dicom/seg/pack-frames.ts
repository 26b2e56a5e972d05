import { eachMaskRun } from '../mask-runs.ts';

export interface PackedFrame {
  /** Index into the segments asked for. */
  readonly segment: number;
  readonly slice: number;
}

export interface PackedFrames {
  readonly frames: readonly PackedFrame[];
  /** One bit per pixel, lowest bit first, frame after frame without a gap between them (PS3.5 8.2, PS3.3 A.51). */
  readonly bits: Uint8Array;
}

/** Values of the mask that belong to a segment, both ends included. */
export interface ValueRange {
  readonly from: number;
  readonly to: number;
}

/** Where a segment's voxels are found. */
export interface SegmentValues {
  /** Index of the mask. */
  readonly mask: number;
  readonly values: ValueRange;
}

/**
 * The bits of a binary segmentation: segment by segment, slice by slice, and only slices that have some of the segment. Segments of one mask or of
 * several may overlap.
 */
export function packFrames(
  masks: readonly Uint8Array[],
  sliceSize: number,
  segments: readonly SegmentValues[],
): PackedFrames {
  const filled = segments.map(() => new Set<number>());
  eachSegmentRun(masks, sliceSize, segments, (segment, slice) => filled[segment]!.add(slice));
  const frames = filled.flatMap((slices, segment) =>
    [...slices].sort((a, b) => a - b).map((slice) => ({ segment, slice })),
  );
  const index = segments.map(() => new Map<number, number>());
  for (const [frame, { segment, slice }] of frames.entries()) index[segment]!.set(slice, frame);
  const bits = new Uint8Array(Math.ceil((frames.length * sliceSize) / 8));
  eachSegmentRun(masks, sliceSize, segments, (segment, slice, first, length) =>
    setBits(bits, index[segment]!.get(slice)! * sliceSize + first, length),
  );
  return { frames, bits };
}

function eachSegmentRun(
  masks: readonly Uint8Array[],
  sliceSize: number,
  segments: readonly SegmentValues[],
  run: (segment: number, slice: number, first: number, length: number) => void,
): void {
  for (const [mask, runs] of masks.entries()) {
    const byValue = segmentsByValue(mask, segments);
    eachSliceRun(runs, sliceSize, (value, slice, first, length) => {
      for (const segment of byValue[value]!) run(segment, slice, first, length);
    });
  }
}

/** Per value of a byte the segments that it belongs to: a hundred labels cost a run no more than one. */
function segmentsByValue(mask: number, segments: readonly SegmentValues[]): number[][] {
  return Array.from({ length: 256 }, (_, value) =>
    segments.flatMap((segment, at) =>
      segment.mask === mask && value >= segment.values.from && value <= segment.values.to ? [at] : [],
    ),
  );
}

/** A run may go over the end of a slice. */
function eachSliceRun(
  runs: Uint8Array,
  sliceSize: number,
  run: (value: number, slice: number, first: number, length: number) => void,
): void {
  eachMaskRun(runs, (value, first, length) => {
    let at = first;
    for (let rest = length; rest > 0; ) {
      const slice = Math.floor(at / sliceSize);
      const within = at - slice * sliceSize;
      const part = Math.min(rest, sliceSize - within);
      run(value, slice, within, part);
      at += part;
      rest -= part;
    }
  });
}

function setBits(bits: Uint8Array, first: number, length: number): void {
  const end = first + length;
  let at = first;
  while (at < end && at % 8 !== 0) setBit(bits, at++);
  const wholeEnd = end - (end % 8);
  if (at < wholeEnd) {
    bits.fill(255, at / 8, wholeEnd / 8);
    at = wholeEnd;
  }
  while (at < end) setBit(bits, at++);
}

function setBit(bits: Uint8Array, at: number): void {
  const byte = Math.floor(at / 8);
  bits[byte] = bits[byte]! | (1 << (at % 8));
}
