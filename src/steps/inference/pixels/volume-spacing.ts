import { Failure } from '../../../kernel/errors.ts';

/** Where one slice lies, as its file says (PS3.3 C.7.6.2). */
export interface SliceGeometry {
  /** Image Position (Patient), 3 numbers in mm. */
  readonly position: readonly number[] | null;
  /** Image Orientation (Patient), 6 direction cosines: along a row, then down a column. */
  readonly orientation: readonly number[] | null;
  /** Pixel Spacing: distance of rows, then of columns, in mm. */
  readonly pixelSpacing: readonly number[] | null;
  /** Slice Thickness in mm; used only where a single slice has no neighbour. */
  readonly thickness: number | null;
  /** Stored pixels per pixel of the tensor, down and across; 1 unless it was resized. */
  readonly shrink: readonly [number, number];
}

/**
 * [slice, row, column] distances of the volume in mm. The slice distance is measured along the normal of the first slice, from the
 * first position to the last, divided by the steps between: the gate has seen that they are even. Slice Thickness says nothing of
 * distance and is not used where there are two slices. Throws `inference.spacing-missing`.
 */
export function volumeSpacing(slices: readonly SliceGeometry[]): [number, number, number] {
  const first = slices[0];
  const [row, column] = first?.pixelSpacing ?? [];
  if (!first || !isDistance(row) || !isDistance(column)) throw missing('Pixel Spacing');
  return [sliceDistance(slices), row * first.shrink[0], column * first.shrink[1]];
}

function sliceDistance(slices: readonly SliceGeometry[]): number {
  const first = slices[0];
  const last = slices.at(-1);
  if (slices.length === 1) {
    const thickness = first?.thickness ?? undefined;
    if (isDistance(thickness)) return thickness;
    throw missing('Slice Thickness of a single slice');
  }
  const normal = normalOf(first?.orientation ?? []);
  const from = first?.position ?? [];
  const to = last?.position ?? [];
  if (!normal || from.length !== 3 || to.length !== 3) throw missing('Image Position or Image Orientation');
  const along = normal.reduce((sum, cosine, axis) => sum + cosine * (to[axis]! - from[axis]!), 0);
  const distance = Math.abs(along) / (slices.length - 1);
  if (!isDistance(distance)) throw missing('a distance between the slices');
  return distance;
}

function normalOf(orientation: readonly number[]): [number, number, number] | null {
  const [a, b, c, d, e, f] = orientation;
  if (
    a === undefined ||
    b === undefined ||
    c === undefined ||
    d === undefined ||
    e === undefined ||
    f === undefined
  )
    return null;
  const normal: [number, number, number] = [b * f - c * e, c * d - a * f, a * e - b * d];
  return normal.every(Number.isFinite) ? normal : null;
}

const isDistance = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value > 0;

function missing(what: string): Failure {
  return new Failure(
    'inference.spacing-missing',
    `The model needs the distances of the voxels, and the files lack ${what}.`,
  );
}
