import { type Affine, applyAffine, invert, type Point } from '../pixels/affine.ts';

/** Slices, rows, columns. */
export type Extent = readonly [number, number, number];

/**
 * A grid of labels brought onto the stored images: each stored pixel gets the label of the voxel that its centre lies in, 0 outside. The way
 * (voxels to stored pixels) stretches, shifts, mirrors and swaps axes and nothing else, so each axis has a table of its own.
 */
export function gridToSource(
  grid: Uint8Array,
  extent: Extent,
  toSource: Affine,
  source: Extent,
): Uint8Array<ArrayBuffer> {
  const back = invert(toSource);
  const strides = [extent[1] * extent[2], extent[2], 1] as const;
  const offsets = [0, 1, 2].map((axis) => offsetsOf(axis, back, extent, strides, source[axis]!));
  const [deep, down, across] = offsets as [Int32Array, Int32Array, Int32Array];
  const labels = new Uint8Array(source[0] * source[1] * source[2]);
  let at = 0;
  for (let slice = 0; slice < source[0]; slice++) {
    for (let row = 0; row < source[1]; row++) {
      const line = deep[slice]! < 0 || down[row]! < 0 ? -1 : deep[slice]! + down[row]!;
      if (line >= 0) {
        for (let column = 0; column < source[2]; column++)
          if (across[column]! >= 0) labels[at + column] = grid[line + across[column]!]!;
      }
      at += source[2];
    }
  }
  return labels;
}

/** The values of one stored slice, from the voxels that the centres of its pixels lie in; NaN outside. */
export function sliceOnSource(
  valueAt: (index: number) => number,
  extent: Extent,
  toSource: Affine,
  source: Extent,
  slice: number,
): Float32Array<ArrayBuffer> {
  const back = invert(toSource);
  const strides = [extent[1] * extent[2], extent[2], 1] as const;
  const deep = offsetsOf(0, back, extent, strides, source[0])[slice]!;
  const down = offsetsOf(1, back, extent, strides, source[1]);
  const across = offsetsOf(2, back, extent, strides, source[2]);
  return Float32Array.from({ length: source[1] * source[2] }, (_, at) => {
    const row = down[Math.floor(at / source[2])]!;
    const column = across[at % source[2]]!;
    return deep < 0 || row < 0 || column < 0 ? Number.NaN : valueAt(deep + row + column);
  });
}

/** For each position along one source axis the part of a voxel's index that it decides; −1 where it lies outside. */
function offsetsOf(axis: number, back: Affine, extent: Extent, strides: Extent, length: number): Int32Array {
  const target = [0, 1, 2].reduce((best, k) =>
    Math.abs(back[k * 4 + axis]!) > Math.abs(back[best * 4 + axis]!) ? k : best,
  );
  const [factor, start] = [back[target * 4 + axis]!, back[target * 4 + 3]!];
  return Int32Array.from({ length }, (_, position) => {
    const index = Math.floor(position * factor + start + 0.5);
    return index >= 0 && index < extent[target]! ? index * strides[target]! : -1;
  });
}

export interface SourceBox {
  readonly slice: number;
  /** First and last slice that it may touch. */
  readonly slices: readonly [number, number];
  /** Left, top, right, bottom. */
  readonly box: readonly [number, number, number, number];
}

/**
 * A box given from edge to edge (0 is the outer edge of the first voxel) on the stored images, also edge to edge, held within them. The
 * slice is the one that its middle lies in.
 */
export function boxToSource(
  { from, to }: { readonly from: Point; readonly to: Point },
  toSource: Affine,
  source: Extent,
): SourceBox {
  const edge = (point: Point) =>
    applyAffine(toSource, [point[0] - 0.5, point[1] - 0.5, point[2] - 0.5]).map((value) => value + 0.5);
  const [a, b] = [edge(from), edge(to)];
  const held = (value: number, axis: number) => Math.max(0, Math.min(source[axis]!, value));
  const low = (axis: number) => held(Math.min(a[axis]!, b[axis]!), axis);
  const high = (axis: number) => held(Math.max(a[axis]!, b[axis]!), axis);
  const middle = Math.floor((a[0]! + b[0]!) / 2);
  const whole = (value: number) => Math.max(0, Math.min(source[0] - 1, value));
  return {
    slice: whole(middle),
    slices: [whole(Math.floor(low(0))), whole(Math.ceil(high(0)))],
    box: [low(2), low(1), high(2), high(1)],
  };
}
