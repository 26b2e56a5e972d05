import type { PixelOp } from '../../governance/manifest.ts';
import { regionAffine } from './pixels/affine.ts';
import type { VolumeFrame } from './pixels/pixel-volume.ts';
import { frameOf } from './pixels/stack-volume.ts';
import { isVolume, type TensorLayout, type TensorType } from './pixels/tensor-layout.ts';
import type { PreparedVolume, PrepareVolumeArgs } from './prepare-volume.task.ts';
import type { ReadSlice, ReadSlicesResult } from './read-tensor.task.ts';
import type { TensorPlace } from './results/picture-results.ts';

/** `.ts` where the sources run as they are, `.js` in the build. */
export const VOLUME_MODULE = new URL(
  `./prepare-volume.task${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

/** The slices as the files gave them. */
export interface StackedSlices {
  readonly first: ReadSlicesResult;
  readonly slices: readonly ReadSlice[];
  readonly layout: TensorLayout;
}

/** What the volume's own operations are given. */
export function volumeArgs(
  { first, slices }: StackedSlices,
  ops: readonly PixelOp[],
  memory: SharedArrayBuffer,
  dtype: TensorType,
): PrepareVolumeArgs {
  const { rows, columns } = first.shape;
  const { range, source, region } = first.image;
  return {
    ...{ memory, ops, dtype, image: { range, source }, dims: { slices: slices.length, rows, columns } },
    geometry: slices,
    toSource: regionAffine({ rows, columns, region }),
  };
}

/** How the pixels of the tensor lie in the stored images: by the volume's operations, or else by those of each image. */
export function placeOf(
  { first, slices, layout }: StackedSlices,
  prepared: PreparedVolume | null,
): TensorPlace {
  const { rows, columns } = prepared ?? first.shape;
  return {
    extent: [prepared?.slices ?? slices.length, rows, columns],
    isVolume: isVolume(layout),
    toSource: prepared?.toSource ?? regionAffine({ rows, columns, region: first.image.region }),
    source: [slices.length, first.stored.rows, first.stored.columns],
    voxel: isVolume(layout) ? voxelOf(frameOf(slices)) : pixelOf(slices[0]),
  };
}

function pixelOf(slice: ReadSlice | undefined): number | null {
  const [row, column] = slice?.pixelSpacing ?? [];
  return row && column ? row * column : null;
}

/** The volume between the steps, which is less than their product where the table went at an angle. */
function voxelOf(frame: VolumeFrame | null): number | null {
  if (!frame) return null;
  const [[a, b, c], [d, e, f], [g, h, i]] = frame.steps;
  return Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g));
}
