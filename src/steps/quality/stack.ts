import { describeVolume, type GeometryFinding, type VolumeDescription } from '../../dicom/describe-volume.ts';
import { jsonNumber } from '../../dicom/json-values.ts';
import type { Vector } from '../../dicom/sort-slices.ts';
import { splitFrames } from '../../dicom/split-frames.ts';
import type { DicomJson } from '../../dicom/study-source.ts';

/** Slices at the same place within this distance are one slice twice. Positions are written to some hundredths of a mm. */
export const SAME_POSITION_MM = 0.01;

export interface Stack {
  /** In ascending order along the normal; an instance of several frames stands where its first one lies. */
  readonly images: readonly DicomJson[];
  /** Slices: instances, or frames of multi-frame instances. */
  readonly slices: number;
  /** mm between neighbouring slices, same order. */
  readonly distances: readonly number[];
  /** Median of the distances between different places; null for a single place. */
  readonly medianDistance: number | null;
  /** Unit vector across the slices, in patient coordinates. */
  readonly normal: Vector;
}

/** The slices in the order of their place in space; null when one lacks a place, or lies in another plane than the rest. */
export function stackOf(images: readonly DicomJson[]): Stack | null {
  const { frames, sorted } = described(images);
  const { axes, slices, unplaced, spacing } = sorted;
  if (axes === null || unplaced.length > 0) return null;
  const places = slices.map(({ location }) => location);
  const order = [...new Set(frames.map(({ instance }) => instance))];
  return {
    images: order.map((instance) => images[instance] ?? {}),
    slices: slices.length,
    distances: places.slice(1).map((place, i) => place - (places[i] ?? place)),
    medianDistance: spacing?.median ?? null,
    normal: axes.normal,
  };
}

/**
 * What the rules look at for a model of volumes: the images, or the frames of the one enhanced multi-frame object that a series is, each as an
 * image with its own place. A cine without functional groups, and several multi-frame objects in a series, stay whole: no volume is read from them.
 */
export function slicesOf(images: readonly DicomJson[]): readonly DicomJson[] {
  const [image] = images;
  return images.length === 1 && image?.[PER_FRAME_GROUPS] !== undefined ? splitFrames(image) : images;
}

/** Per-frame Functional Groups Sequence. */
const PER_FRAME_GROUPS = '52009230';

/** Degrees between the slices' normal and the way from the first to the last; null when it is not known. */
export const tiltOf = (images: readonly DicomJson[]): number | null => described(images).sorted.tilt;

/** What is wrong or worth knowing about the geometry of a series, by name; see `GEOMETRY_FINDINGS`. */
export function geometryFindings(images: readonly DicomJson[]): readonly GeometryFinding[] {
  return described(images).findings;
}

/** Several rules look at one stack: it is sorted once. */
const DESCRIBED = new WeakMap<readonly DicomJson[], VolumeDescription>();

function described(images: readonly DicomJson[]): VolumeDescription {
  const known = DESCRIBED.get(images) ?? describeVolume(images);
  DESCRIBED.set(images, known);
  return known;
}

/** InstanceNumber, for an order among images that have no place in space. */
export const instanceNumberOf = (image: DicomJson) => jsonNumber(image, '00200013') ?? 0;
