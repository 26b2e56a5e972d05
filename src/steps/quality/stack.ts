import { jsonNumber } from '../../dicom/json-values.ts';
import { sortSlices, type Vector } from '../../dicom/sort-slices.ts';
import type { DicomJson } from '../../dicom/study-source.ts';

/** Slices at the same place within this distance are one slice twice. Positions are written to some hundredths of a mm. */
export const SAME_POSITION_MM = 0.01;

export interface Stack {
  /** In ascending order along the normal. */
  readonly images: readonly DicomJson[];
  /** mm between neighbours, same order. */
  readonly distances: readonly number[];
  /** Median of the distances between different places; null for a single place. */
  readonly medianDistance: number | null;
  /** Unit vector across the slices, in patient coordinates. */
  readonly normal: Vector;
}

/** The slices in the order of their place in space; null when one lacks a place, or lies in another plane than the rest. */
export function stackOf(images: readonly DicomJson[]): Stack | null {
  const { slices, unplaced, axes, spacing } = sortSlices(images);
  if (axes === null || unplaced.length > 0) return null;
  const places = slices.map(({ location }) => location);
  return {
    images: slices.map(({ index }) => images[index] ?? {}),
    distances: places.slice(1).map((place, i) => place - (places[i] ?? place)),
    medianDistance: spacing?.median ?? null,
    normal: axes.normal,
  };
}

/** InstanceNumber, for an order among images that have no place in space. */
export const instanceNumberOf = (image: DicomJson) => jsonNumber(image, '00200013') ?? 0;
