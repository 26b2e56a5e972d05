import { jsonNumber, jsonNumbers, jsonString } from '../json-values.ts';
import type { DicomJson } from '../study-source.ts';

/** Where the source slices of a segmentation lie; null for images without a frame of reference (radiographs). */
export interface SliceGeometry {
  readonly frameOfReferenceUid: string;
  /** Row and column direction cosines, six numbers. */
  readonly orientation: readonly number[];
  /** Row, then column distance, mm. */
  readonly pixelSpacing: readonly number[];
  readonly sliceThickness: number | null;
  /** Median distance between slices along the normal, mm. */
  readonly spacingBetweenSlices: number | null;
  /** Per slice, of the middle of its first pixel, mm. */
  readonly positions: readonly (readonly number[])[];
}

/** Of slices in stacking order. */
export function sliceGeometry(slices: readonly DicomJson[]): SliceGeometry | null {
  const first = slices[0] ?? {};
  const frameOfReferenceUid = jsonString(first, '00200052');
  const orientation = jsonNumbers(first, '00200037');
  const pixelSpacing = jsonNumbers(first, '00280030');
  const positions = slices.map((slice) => jsonNumbers(slice, '00200032') ?? []);
  if (
    frameOfReferenceUid === null ||
    orientation?.length !== 6 ||
    pixelSpacing?.length !== 2 ||
    positions.some((position) => position.length !== 3)
  )
    return null;
  return {
    frameOfReferenceUid,
    orientation,
    pixelSpacing,
    sliceThickness: jsonNumber(first, '00180050'),
    spacingBetweenSlices: medianDistance(orientation, positions),
    positions,
  };
}

function medianDistance(
  orientation: readonly number[],
  positions: readonly (readonly number[])[],
): number | null {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = orientation;
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  const along = positions.map((position) =>
    position.reduce((sum, value, axis) => sum + value * normal[axis]!, 0),
  );
  const distances = along.slice(1).map((value, at) => Math.abs(value - along[at]!));
  const median = distances.sort((x, y) => x - y)[Math.floor(distances.length / 2)];
  return median === undefined || median === 0 ? null : Number(median.toFixed(6));
}
