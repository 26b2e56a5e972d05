/** Run by a pixel worker: the operations that need the whole volume, on slices that are already stacked. */
import { createHash } from 'node:crypto';
import type { PixelOp } from '../../governance/manifest.ts';
import type { Affine } from './pixels/affine.ts';
import { applyVolume } from './pixels/apply-volume.ts';
import type { PixelImage } from './pixels/pixel-image.ts';
import { volumeDistances } from './pixels/pixel-volume.ts';
import { stackVolume } from './pixels/stack-volume.ts';
import { TENSOR_VALUE_BYTES, type TensorType, tensorSlice, writeTensor } from './pixels/tensor-layout.ts';
import type { SliceGeometry } from './pixels/volume-spacing.ts';

export interface PrepareVolumeArgs {
  /** Float32, slice after slice. Overwritten. */
  readonly memory: SharedArrayBuffer;
  readonly dims: { readonly slices: number; readonly rows: number; readonly columns: number };
  readonly image: Pick<PixelImage, 'range' | 'source'>;
  readonly geometry: readonly SliceGeometry[];
  readonly toSource: Affine;
  readonly ops: readonly PixelOp[];
  readonly dtype: TensorType;
}

export interface PreparedVolume {
  readonly memory: SharedArrayBuffer;
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  readonly toSource: Affine;
  /** Along slices, rows, columns in mm; null when the files do not say. */
  readonly distances: readonly [number, number, number] | null;
  /** SHA-256 of the tensor's bytes, hexadecimal. */
  readonly digest: string;
}

/** Throws `inference.spacing-missing`, `inference.pixels-invalid`, `inference.series-too-large`. */
export function prepareVolume(args: PrepareVolumeArgs): PreparedVolume {
  const { slices, rows, columns } = args.dims;
  const values = new Float32Array(args.memory, 0, slices * rows * columns);
  const volume = applyVolume(
    stackVolume(args.dims, values, args.image, args.geometry, args.toSource),
    args.ops,
  );
  const length = volume.data.length;
  const memory = new SharedArrayBuffer(length * TENSOR_VALUE_BYTES[args.dtype]);
  const target = tensorSlice(memory, args.dtype, length, 0);
  const size = volume.rows * volume.columns;
  const region = { row: 0, column: 0, rows: volume.rows, columns: volume.columns };
  for (let at = 0; at < length; at += size) {
    const data = volume.data.subarray(at, at + size);
    const slice = {
      rows: volume.rows,
      columns: volume.columns,
      samples: 1 as const,
      data,
      range: volume.range,
      region,
      source: volume.source,
    };
    writeTensor(slice, target.subarray(at, at + size), args.dtype, 'DHW');
  }
  const digest = createHash('sha256').update(new Uint8Array(memory)).digest('hex');
  return {
    ...{ memory, slices: volume.slices, rows: volume.rows, columns: volume.columns },
    ...{ toSource: volume.toSource, distances: volumeDistances(volume), digest },
  };
}
