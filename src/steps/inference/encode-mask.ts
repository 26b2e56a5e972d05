/** Run by a pixel worker: a mask as runs, deflated. */
import { deflateRawSync } from 'node:zlib';
import { encodeMaskRuns, labelOf } from '../../dicom/mask-runs.ts';
import type { OutputArray } from './engines/engine.ts';
import { type Affine, compose, IDENTITY, stretchAffine } from './pixels/affine.ts';
import { type Extent, gridToSource } from './results/grid-to-source.ts';

export interface EncodedMask {
  readonly runs: Uint8Array<ArrayBuffer>;
  readonly present: readonly number[];
}

/** A model's mask in its own grid, and how that lies in the stored images. */
export interface MaskOnGrid {
  readonly mask: OutputArray;
  /** Slices, rows, columns of the mask, of the tensor, and of the stored stack. */
  readonly dims: Extent;
  readonly extent: Extent;
  readonly source: Extent;
  /** From the tensor's voxels to those of the stored stack. */
  readonly toSource: Affine;
}

/** Runs repeat from line to line: half a second for a CT of 300 slices, and a fourth of their bytes. */
const LEVEL = 4;

export function encodeMask(mask: OutputArray): EncodedMask {
  const { runs, present } = encodeMaskRuns(mask);
  return { runs: Uint8Array.from(deflateRawSync(runs, { level: LEVEL })), present };
}

/** The same on the stored pixels: each has the label of the voxel that its centre lies in, 0 where the model was given nothing. */
export function encodeMaskOnSource({ mask, dims, extent, source, toSource }: MaskOnGrid): EncodedMask {
  const way = compose(toSource, stretchAffine(dims, extent));
  const same = way.every((value, at) => value === IDENTITY[at]) && dims.every((n, at) => n === source[at]);
  if (same) return encodeMask(mask);
  const labels = new Uint8Array(mask.length);
  for (let i = 0; i < labels.length; i++) labels[i] = labelOf(mask[i]!);
  return encodeMask(gridToSource(labels, dims, way, source));
}
