import { jsonNumber, jsonNumbers, jsonString } from './json-values.ts';
import { type SortedSlices, sortSlices, type Vector } from './sort-slices.ts';
import { frameNumberOf, isLocalizerImage, splitFrames } from './split-frames.ts';
import type { DicomJson } from './study-source.ts';

/** Everything that can be wrong, or worth knowing, with the geometry of a series. A gate decides what it can live with. */
export const GEOMETRY_FINDINGS = [
  'no-images',
  'no-position',
  'localizer',
  'mixed-orientation',
  'mixed-frame-of-reference',
  'mixed-size',
  'mixed-pixel-spacing',
  'no-pixel-spacing',
  'single-slice',
  'duplicate-position',
  'gap',
  'uneven-spacing',
  'gantry-tilt',
  'several-time-points',
  'suv-not-computed',
] as const;

export type GeometryFindingCode = (typeof GEOMETRY_FINDINGS)[number];

export interface GeometryFinding {
  readonly code: GeometryFindingCode;
  /** Slices, places or degrees that it is about. */
  readonly amount: number;
  /** For people: numbers and fixed words only, nothing out of the header. */
  readonly observed: string;
}

export interface VolumeDescription {
  /** Slices in stacking order, ascending along the normal; those without a place, and localizers, are not among them. */
  readonly frames: readonly VolumeFrame[];
  /** Slices, rows, columns; null without slices, or when they differ in size. */
  readonly dims: readonly [number, number, number] | null;
  /** Distances of slices (along the normal, from positions), rows and columns in mm; null where one is unknown. */
  readonly spacing: readonly [number, number, number] | null;
  /** [slice, row, column, 1] → [x, y, z, 1] in mm of the patient (LPS), row by row; with the shear of a tilted gantry. */
  readonly affine: readonly number[] | null;
  readonly sorted: SortedSlices;
  readonly findings: readonly GeometryFinding[];
}

export interface VolumeFrame {
  /** In the list given. */
  readonly instance: number;
  /** Within the instance, from 1. */
  readonly frame: number;
  readonly sopInstanceUid: string | null;
  readonly position: Vector;
}

/** Distances that differ by more than this fraction of the median make a volume uneven; positions are rounded to some hundredths of a mm. */
const UNEVEN_FRACTION = 0.02;
/** A way of the slices that leaves the normal by more is a tilted gantry; rounding alone makes some hundredths of a degree. */
const TILT_DEGREES_MIN = 0.5;

/**
 * One series of CT or MR as a volume (PS3.3 C.7.6.2.1.1): slices sorted by their place along the normal, never by instance number; frames of
 * enhanced multi-frame objects count as slices. Pure; nothing is refused here.
 */
export function describeVolume(instances: readonly DicomJson[]): VolumeDescription {
  const all = instances.flatMap((json, instance) =>
    splitFrames(json).map((image) => ({ image, instance, localizer: isLocalizerImage(image) })),
  );
  const slices = all.filter(({ localizer }) => !localizer);
  // A series of nothing but localizers is described as it stands.
  const used = slices.length === 0 ? all : slices;
  const images = used.map(({ image }) => image);
  const sorted = sortSlices(images);
  const placed = sorted.slices.map(({ index }) => images[index] ?? {});
  const frames = sorted.slices.map(({ index, sopInstanceUid, position }) => ({
    instance: used[index]?.instance ?? 0,
    frame: frameNumberOf(images[index] ?? {}),
    sopInstanceUid,
    position,
  }));
  const spacing = spacingOf(placed, sorted);
  return {
    frames,
    dims: dimsOf(placed),
    spacing,
    affine: affineOf(sorted, spacing),
    sorted,
    findings: [
      ...findingsOfImages(images, all.length - slices.length, placed, sorted),
      ...findingsOfStack(placed, sorted),
    ],
  };
}

function findingsOfImages(
  images: readonly DicomJson[],
  localizers: number,
  placed: readonly DicomJson[],
  { unplaced }: SortedSlices,
): GeometryFinding[] {
  const elsewhere = unplaced.filter((index) => hasPlace(images[index] ?? {}));
  const nowhere = unplaced.length - elsewhere.length;
  const frames = distinct(placed, (image) => jsonString(image, '00200052'));
  const sizes = distinct(placed, sizeOf);
  const distances = distinct(placed, (image) =>
    pixelSpacingOf(image)
      ?.map((mm) => mm.toFixed(4))
      .join(),
  );
  const spaced = placed.filter((image) => pixelSpacingOf(image) !== null).length;
  const isPet = images.some((image) => jsonString(image, '00080060') === 'PT');
  return [
    ...when('no-images', images.length === 0 ? 1 : 0, () => 'no images'),
    ...when('no-position', nowhere, (n) => `${n} of ${images.length} slices without a place in space`),
    ...when('localizer', localizers, (n) => `${n} localizers among the slices`),
    ...when('mixed-orientation', elsewhere.length, (n) => `${n} of ${images.length} slices in another plane`),
    ...when('mixed-frame-of-reference', more(frames), (n) => `${n + 1} frames of reference`),
    ...when('mixed-size', more(sizes), (n) => `${n + 1} different sizes`),
    ...when('mixed-pixel-spacing', more(distances), (n) => `${n + 1} different pixel spacings`),
    ...when('no-pixel-spacing', placed.length - spaced, (n) => `${n} slices without pixel spacing`),
    ...when('suv-not-computed', isPet ? images.length : 0, () => SUV_TEXT),
  ];
}

/** Positron emission: the stored values are activity, and the uptake value needs dose, weight and decay, which are not computed here. */
export const SUV_TEXT = 'PET values as stored; standardized uptake values (SUV) are not computed';

function findingsOfStack(placed: readonly DicomJson[], sorted: SortedSlices): GeometryFinding[] {
  const { duplicates, gaps, spacing, tilt, slices } = sorted;
  const doubled = duplicates.reduce((sum, group) => sum + group.length - 1, 0);
  const times = distinct(placed, (image) => jsonString(image, '00200100') ?? jsonString(image, '00209128'));
  const median = spacing?.median ?? 0;
  const missing = gaps.reduce((sum, { distance }) => sum + Math.max(1, Math.round(distance / median) - 1), 0);
  const off = spacing === null ? 0 : Math.max(spacing.max - median, median - spacing.min);
  const uneven = gaps.length === 0 && off > UNEVEN_FRACTION * median;
  const single = slices.length > 0 && spacing === null;
  return [
    ...when('single-slice', single ? 1 : 0, () => 'one place only'),
    ...when('duplicate-position', doubled, (n) => `${n} slices at the place of another`),
    ...when('several-time-points', doubled > 0 ? more(times) : 0, (n) => `${n + 1} points in time`),
    ...when('gap', missing, (n) => `${n} slices missing in ${gaps.length} places`),
    ...when('uneven-spacing', uneven ? off : 0, (mm) => `distances off by up to ${mm.toFixed(2)} mm`),
    ...when(
      'gantry-tilt',
      tilt !== null && tilt > TILT_DEGREES_MIN ? tilt : 0,
      (n) => `${n.toFixed(1)} degrees`,
    ),
  ];
}

function when(
  code: GeometryFindingCode,
  amount: number,
  text: (amount: number) => string,
): GeometryFinding[] {
  return amount > 0 ? [{ code, amount, observed: text(amount) }] : [];
}

/** Different values beyond the first; an absent value is none. */
const more = (values: ReadonlySet<unknown>): number => Math.max(0, values.size - 1);

function distinct<T>(images: readonly DicomJson[], of: (image: DicomJson) => T | null | undefined): Set<T> {
  const found = new Set<T>();
  for (const image of images) {
    const value = of(image);
    if (value !== null && value !== undefined) found.add(value);
  }
  return found;
}

const hasPlace = (image: DicomJson): boolean =>
  jsonNumbers(image, '00200032')?.length === 3 && jsonNumbers(image, '00200037')?.length === 6;

function sizeOf(image: DicomJson): string | null {
  const rows = jsonNumber(image, '00280010');
  const columns = jsonNumber(image, '00280011');
  return rows === null || columns === null ? null : `${rows}×${columns}`;
}

function pixelSpacingOf(image: DicomJson): [number, number] | null {
  const [row, column] = jsonNumbers(image, '00280030') ?? [];
  return row !== undefined && column !== undefined && row > 0 && column > 0 ? [row, column] : null;
}

function dimsOf(placed: readonly DicomJson[]): VolumeDescription['dims'] {
  const [first] = placed;
  const rows = jsonNumber(first ?? {}, '00280010');
  const columns = jsonNumber(first ?? {}, '00280011');
  if (rows === null || columns === null || distinct(placed, sizeOf).size !== 1) return null;
  return [placed.length, rows, columns];
}

/** The mean distance of different places: for an even stack it is the median without the rounding of single positions. */
function spacingOf(placed: readonly DicomJson[], sorted: SortedSlices): VolumeDescription['spacing'] {
  const pixel = pixelSpacingOf(placed[0] ?? {});
  const distance = sliceDistance(sorted) ?? jsonNumber(placed[0] ?? {}, '00180050');
  return pixel === null || distance === null || !(distance > 0) ? null : [distance, ...pixel];
}

function sliceDistance({ slices, spacing, duplicates, gaps }: SortedSlices): number | null {
  const first = slices[0];
  const last = slices.at(-1);
  if (spacing === null || first === undefined || last === undefined) return null;
  if (gaps.length > 0) return spacing.median;
  const doubled = duplicates.reduce((sum, group) => sum + group.length - 1, 0);
  return (last.location - first.location) / (slices.length - 1 - doubled);
}

function affineOf(
  { slices, axes }: SortedSlices,
  spacing: VolumeDescription['spacing'],
): VolumeDescription['affine'] {
  const first = slices[0];
  const last = slices.at(-1);
  if (axes === null || spacing === null || first === undefined || last === undefined) return null;
  const [slice, down, across] = spacing;
  const depth = last.location - first.location;
  // Per millimetre along the normal the slices of a tilted gantry also move sideways.
  const way = axes.normal.map((cosine, axis) =>
    depth > 0 ? ((last.position[axis] ?? 0) - (first.position[axis] ?? 0)) / depth : cosine,
  );
  // The second index counts rows, which lie along the column direction (C.7.6.2.1.1).
  const lines = [0, 1, 2].map((axis) => [
    (way[axis] ?? 0) * slice,
    (axes.column[axis] ?? 0) * down,
    (axes.row[axis] ?? 0) * across,
    first.position[axis] ?? 0,
  ]);
  return [...lines.flat(), 0, 0, 0, 1];
}
