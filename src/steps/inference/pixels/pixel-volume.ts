import type { Affine } from './affine.ts';
import type { PixelSource, ValueRange } from './pixel-image.ts';

/** A stack of slices on its way to a tensor, row-major, one sample per voxel. Operations may write into `data`: a volume is not kept twice. */
export interface PixelVolume {
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
  readonly range: ValueRange;
  /** From this volume's voxels to those of the stacked stored images. */
  readonly toSource: Affine;
  /** How the stored stack lies in the patient; null when the files do not say. */
  readonly frame: VolumeFrame | null;
  readonly source: PixelSource;
}

/** The stored stack in the patient (LPS, mm): one step along the slices, down the rows, across the columns. */
export interface VolumeFrame {
  readonly steps: readonly [Vector, Vector, Vector];
}

export type Vector = readonly [number, number, number];

/** Steps of the volume itself, in mm, from those of the stack and the way to it. */
export function volumeSteps({
  toSource,
  frame,
}: Pick<PixelVolume, 'toSource' | 'frame'>): [Vector, Vector, Vector] | null {
  if (!frame) return null;
  const step = (axis: number): Vector => {
    const along = (xyz: number) =>
      [0, 1, 2].reduce((sum, k) => sum + toSource[k * 4 + axis]! * (frame.steps[k]?.[xyz] ?? 0), 0);
    return [along(0), along(1), along(2)];
  };
  return [step(0), step(1), step(2)];
}

/** Distances along slices, rows, columns in mm. */
export function volumeDistances(
  volume: Pick<PixelVolume, 'toSource' | 'frame'>,
): [number, number, number] | null {
  const steps = volumeSteps(volume);
  return steps && [Math.hypot(...steps[0]), Math.hypot(...steps[1]), Math.hypot(...steps[2])];
}
