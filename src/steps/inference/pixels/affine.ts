/**
 * A way from one grid to another: three rows of four numbers, [a b c t], for the axes slice, row, column. Points are indices of voxel
 * centres (the first voxel is 0, 0, 0), also for single images, whose only slice is 0. Operations on pixels carry one along, so
 * that what a model finds in its tensor is found again in the stored image.
 */
export type Affine = readonly number[];

/** slice, row, column */
export type Point = readonly [number, number, number];

export const IDENTITY: Affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/** Each axis for itself: index i goes to `step · i + start`. */
export function axesAffine(step: Point, start: Point): Affine {
  return [step[0], 0, 0, start[0], 0, step[1], 0, start[1], 0, 0, step[2], start[2]];
}

/** First `inner`, then `outer`. */
export function compose(outer: Affine, inner: Affine): Affine {
  const result: number[] = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 4; column++) {
      let sum = column === 3 ? outer[row * 4 + 3]! : 0;
      for (let k = 0; k < 3; k++) sum += outer[row * 4 + k]! * inner[k * 4 + column]!;
      result.push(sum);
    }
  }
  return result;
}

export function applyAffine(affine: Affine, [slice, row, column]: Point): [number, number, number] {
  const along = (at: number) =>
    affine[at]! * slice + affine[at + 1]! * row + affine[at + 2]! * column + affine[at + 3]!;
  return [along(0), along(4), along(8)];
}

/** The way back. The operations only turn, mirror, stretch and shift, so there is one. */
export function invert(affine: Affine): Affine {
  const [a = 0, b = 0, c = 0, x = 0, d = 0, e = 0, f = 0, y = 0, g = 0, h = 0, i = 0, z = 0] = affine;
  const cofactors = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
  ];
  cofactors.push(d * h - e * g, b * g - a * h, a * e - b * d);
  const determinant = a * cofactors[0]! + b * cofactors[3]! + c * cofactors[6]!;
  const rows = [0, 3, 6].map((at) => cofactors.slice(at, at + 3).map((value) => value / determinant));
  return rows.flatMap(([p = 0, q = 0, r = 0]) => [p, q, r, -(p * x + q * y + r * z)]);
}

/** Source voxels per voxel. */
export function volumeFactor(affine: Affine): number {
  const [a = 0, b = 0, c = 0, , d = 0, e = 0, f = 0, , g = 0, h = 0, i = 0] = affine;
  return Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g));
}

/** From the pixels of an image to those of the stored one, by the region that the image shows. */
export function regionAffine(image: {
  readonly rows: number;
  readonly columns: number;
  readonly region: {
    readonly row: number;
    readonly column: number;
    readonly rows: number;
    readonly columns: number;
  };
}): Affine {
  const perRow = image.region.rows / image.rows;
  const perColumn = image.region.columns / image.columns;
  // Regions go from edge to edge; the centre of the first pixel lies half a pixel further, in both grids.
  return axesAffine(
    [1, perRow, perColumn],
    [0, image.region.row + perRow / 2 - 0.5, image.region.column + perColumn / 2 - 0.5],
  );
}

/** From a grid of one size to one of another that covers the same: their outer edges meet. */
export function stretchAffine(from: Point, to: Point): Affine {
  const step = [to[0] / from[0], to[1] / from[1], to[2] / from[2]] as const;
  return axesAffine(step, [step[0] / 2 - 0.5, step[1] / 2 - 0.5, step[2] / 2 - 0.5]);
}
