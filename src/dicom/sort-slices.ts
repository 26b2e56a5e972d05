import { jsonNumber, jsonNumbers, jsonString } from './json-values.ts';
import type { DicomJson } from './study-source.ts';

/**
 * The geometry of one series: which slices lie where. Order comes from ImagePositionPatient along the normal of
 * ImageOrientationPatient (PS3.3 C.7.6.2.1.1), never from InstanceNumber. Nothing is refused here; the gate of a model
 * decides what it can live with.
 */
export interface SortedSlices {
  /** From the lowest to the highest position along the normal; equal positions in the order given. */
  readonly slices: readonly Slice[];
  /** Indexes of instances that cannot be placed: no position or orientation, or an orientation other than the rest's. */
  readonly unplaced: readonly number[];
  /** Unit vectors of the rows' and columns' direction and their normal, in the patient's coordinates. */
  readonly axes: SliceAxes | null;
  /** The plane that the normal is nearest to; `oblique` beyond 20°. Null without placed slices. */
  readonly plane: 'axial' | 'coronal' | 'sagittal' | 'oblique' | null;
  /** Millimetres between neighbours, equal positions not counted. Null with fewer than two different positions. */
  readonly spacing: { readonly median: number; readonly min: number; readonly max: number } | null;
  /** Places where the distance is more than 1.5 times the median: slices are missing. */
  readonly gaps: readonly { readonly afterSlice: number; readonly distance: number }[];
  /** Groups of slices at one position, as places in `slices`. */
  readonly duplicates: readonly (readonly number[])[];
  /** Degrees between the normal and the way from first to last slice: the gantry tilt, if not about 0. */
  readonly tilt: number | null;
  /** Every placed slice has the same Rows, Columns and PixelSpacing. */
  readonly uniform: boolean;
}

export interface Slice {
  /** In the list given. */
  readonly index: number;
  readonly sopInstanceUid: string | null;
  /** Millimetres along the normal. */
  readonly location: number;
  /** Of the centre of the first pixel, in millimetres. */
  readonly position: Vector;
}

export type Vector = readonly [number, number, number];

export interface SliceAxes {
  readonly row: Vector;
  readonly column: Vector;
  readonly normal: Vector;
}

/** Slices nearer than this are at one position; scanners round to about a micrometre. */
const SAME_POSITION_MM = 0.01;
/** A neighbour farther than this times the median spacing means that at least one slice is missing. */
const GAP_FACTOR = 1.5;
/** Orientations are one when no direction cosine differs by more (about 0.06°). */
const SAME_COSINE = 0.001;
/** Nearer than 20° to an axis of the patient, a plane is called by that axis. */
const OBLIQUE_COSINE = Math.cos((20 * Math.PI) / 180);

/** Describes the instances of one series. Takes their data sets in any order. */
export function sortSlices(instances: readonly DicomJson[]): SortedSlices {
  const axes = commonAxes(instances);
  const slices: Slice[] = [];
  const unplaced: number[] = [];
  for (const [index, instance] of instances.entries()) {
    const position = toVector(jsonNumbers(instance, '00200032'));
    if (axes === null || position === null || !hasAxes(instance, axes)) unplaced.push(index);
    else {
      const sopInstanceUid = jsonString(instance, '00080018');
      slices.push({ index, sopInstanceUid, location: dot(position, axes.normal), position });
    }
  }
  slices.sort((a, b) => a.location - b.location || a.index - b.index);
  const placedAxes = slices.length === 0 ? null : axes;
  const spacing = spacingOf(slices);
  return {
    slices,
    unplaced,
    axes: placedAxes,
    plane: placedAxes === null ? null : planeOf(placedAxes.normal),
    spacing,
    gaps: gapsOf(slices, spacing?.median ?? Number.POSITIVE_INFINITY),
    duplicates: duplicatesOf(slices),
    tilt: placedAxes === null ? null : tiltOf(slices, placedAxes.normal),
    uniform: isUniform(slices.map(({ index }) => instances[index] ?? {})),
  };
}

/** The orientation that most instances have: a localizer in the series must not decide. */
function commonAxes(instances: readonly DicomJson[]): SliceAxes | null {
  const counts = new Map<string, { axes: SliceAxes; count: number }>();
  for (const instance of instances) {
    const axes = axesOf(instance);
    if (axes === null) continue;
    const key = [...axes.row, ...axes.column].map((cosine) => Math.round(cosine / SAME_COSINE)).join();
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { axes, count: 1 });
    else known.count += 1;
  }
  const ranked = [...counts.values()].sort((a, b) => b.count - a.count);
  return ranked[0]?.axes ?? null;
}

function axesOf(instance: DicomJson): SliceAxes | null {
  const cosines = jsonNumbers(instance, '00200037');
  if (cosines?.length !== 6) return null;
  const row = unit(toVector(cosines.slice(0, 3)));
  const column = unit(toVector(cosines.slice(3)));
  const normal = row === null || column === null ? null : unit(cross(row, column));
  return row === null || column === null || normal === null ? null : { row, column, normal };
}

function hasAxes(instance: DicomJson, axes: SliceAxes): boolean {
  const own = axesOf(instance);
  return own !== null && near(own.row, axes.row) && near(own.column, axes.column);
}

function near(a: Vector, b: Vector): boolean {
  return a.every((value, index) => Math.abs(value - (b[index] ?? 0)) <= 2 * SAME_COSINE);
}

function spacingOf(slices: readonly Slice[]): SortedSlices['spacing'] {
  const distances = distancesOf(slices).filter((distance) => distance > SAME_POSITION_MM);
  distances.sort((a, b) => a - b);
  const [min] = distances;
  const max = distances.at(-1);
  const median = distances[distances.length >> 1];
  return min === undefined || max === undefined || median === undefined ? null : { median, min, max };
}

function distancesOf(slices: readonly Slice[]): number[] {
  return slices.slice(1).map((slice, before) => slice.location - (slices[before]?.location ?? 0));
}

function gapsOf(slices: readonly Slice[], median: number): SortedSlices['gaps'] {
  return distancesOf(slices)
    .map((distance, afterSlice) => ({ afterSlice, distance }))
    .filter(({ distance }) => distance > GAP_FACTOR * median);
}

function duplicatesOf(slices: readonly Slice[]): number[][] {
  const groups: number[][] = [];
  for (const [place, slice] of slices.entries()) {
    const last = groups.at(-1);
    const first = slices[last?.[0] ?? -1];
    if (last !== undefined && first !== undefined && slice.location - first.location <= SAME_POSITION_MM)
      last.push(place);
    else groups.push([place]);
  }
  return groups.filter((group) => group.length > 1);
}

function tiltOf(slices: readonly Slice[], normal: Vector): number | null {
  const first = slices[0];
  const last = slices.at(-1);
  if (first === undefined || last === undefined || last.location - first.location <= SAME_POSITION_MM)
    return null;
  const way = unit(minus(last.position, first.position));
  return way === null ? null : (Math.acos(Math.min(1, Math.abs(dot(way, normal)))) * 180) / Math.PI;
}

function planeOf(normal: Vector): SortedSlices['plane'] {
  const [x, y, z] = normal.map(Math.abs);
  if ((z ?? 0) >= OBLIQUE_COSINE) return 'axial';
  if ((y ?? 0) >= OBLIQUE_COSINE) return 'coronal';
  return (x ?? 0) >= OBLIQUE_COSINE ? 'sagittal' : 'oblique';
}

function isUniform(instances: readonly DicomJson[]): boolean {
  const shapes = instances.map((instance) =>
    [
      jsonNumber(instance, '00280010'),
      jsonNumber(instance, '00280011'),
      ...(jsonNumbers(instance, '00280030') ?? []).map((spacing) => spacing.toFixed(4)),
    ].join(),
  );
  return new Set(shapes).size <= 1;
}

function toVector(numbers: readonly number[] | null): Vector | null {
  const [x, y, z] = numbers ?? [];
  return numbers?.length !== 3 || x === undefined || y === undefined || z === undefined ? null : [x, y, z];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function minus(a: Vector, b: Vector): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function unit(vector: Vector | null): Vector | null {
  const length = vector === null ? 0 : Math.hypot(...vector);
  return vector === null || length < 1e-6
    ? null
    : [vector[0] / length, vector[1] / length, vector[2] / length];
}
