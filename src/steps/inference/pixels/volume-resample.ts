import { Failure } from '../../../kernel/errors.ts';
import { axesAffine, compose } from './affine.ts';
import { type PixelVolume, volumeDistances } from './pixel-volume.ts';
import { convolveColumns, resampleFloat } from './resample.ts';
import { axisTo, type ResampleSpacingOp } from './resample-spacing.ts';
import type { ResizeGrid } from './resize-weights.ts';

/**
 * A volume to these distances of slices, rows and columns: one axis after the other. Throws `inference.spacing-missing` when the files do not
 * say how far the voxels lie apart, `inference.series-too-large`.
 */
export function resampleVolume(volume: PixelVolume, op: ResampleSpacingOp): PixelVolume {
  const distances = volumeDistances(volume);
  if (!distances)
    throw new Failure(
      'inference.spacing-missing',
      'The model needs distances of voxels in mm, and the files lack positions, orientation or Pixel Spacing.',
    );
  const [perSlice, perRow, perColumn] = op.mm as [number, number, number];
  const deep = axisTo(volume.slices, distances[0], perSlice, op);
  const down = axisTo(volume.rows, distances[1], perRow, op);
  const across = axisTo(volume.columns, distances[2], perColumn, op);
  const [rows, columns] = [down.size, across.size];
  checkSize(deep.size * rows * columns);
  const plane = rows * columns;
  let data = volume.data;
  if (down.weights || across.weights) {
    data = new Float32Array(volume.slices * plane);
    const size = volume.rows * volume.columns;
    for (let slice = 0; slice < volume.slices; slice++) {
      const one = volume.data.subarray(slice * size, (slice + 1) * size);
      const shape = { rows: volume.rows, columns: volume.columns, samples: 1 } as const;
      data.set(resampleFloat(one, shape, across.weights, down.weights), slice * plane);
    }
  }
  if (deep.weights) data = convolveColumns(data, plane, deep.weights);
  const grids = [deep.grid, down.grid, across.grid] as const;
  const inner = axesAffine(
    [grids[0].step, grids[1].step, grids[2].step],
    [centre(grids[0]), centre(grids[1]), centre(grids[2])],
  );
  return { ...volume, slices: deep.size, rows, columns, data, toSource: compose(volume.toSource, inner) };
}

/** Index of the source voxel under the centre of the first one. */
const centre = ({ step, shift }: ResizeGrid): number => 0.5 * step + shift - 0.5;

/** Voxels of a resampled volume, 1.6 GB as Float32: what a reading of 1,536 slices of 512 × 512 has. */
export const VOLUME_VALUES_MAX = 1536 * 512 * 512;

export function checkSize(values: number): void {
  if (values <= VOLUME_VALUES_MAX) return;
  throw new Failure(
    'inference.series-too-large',
    `The volume would have ${values} voxels; one analysis takes at most ${VOLUME_VALUES_MAX}.`,
  );
}
