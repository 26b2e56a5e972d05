import type { PixelOp } from '../../../governance/manifest.ts';
import { compose, regionAffine } from './affine.ts';
import { applyPixels } from './apply-pixels.ts';
import { percentileClipInto } from './percentile-clip.ts';
import type { PixelImage } from './pixel-image.ts';
import type { PixelVolume } from './pixel-volume.ts';
import { reorient } from './volume-reorient.ts';
import { checkSize, resampleVolume } from './volume-resample.ts';
import { cropVolume, padVolume } from './volume-window.ts';
import { zScoreInto } from './z-score.ts';

/** Does an operation need the whole volume? Those before the first such are done slice by slice, as the files are read. */
function needsVolume(op: PixelOp): boolean {
  switch (op.op) {
    case 'reorient':
      return true;
    case 'resample_spacing':
      return op.mm.length === 3;
    case 'z_score':
    case 'percentile_clip':
      return op.over === 'volume';
    case 'crop':
      return op.slices !== undefined || (op.at !== 'centre' && op.at.length === 3);
    case 'pad':
      return op.slices !== undefined;
    default:
      return false;
  }
}

/** The operations done on each image, and those done on the volume: from the first on that needs it. */
export function splitPixels(ops: readonly PixelOp[]): {
  images: readonly PixelOp[];
  volume: readonly PixelOp[];
} {
  const first = ops.findIndex(needsVolume);
  return first < 0 ? { images: ops, volume: [] } : { images: ops.slice(0, first), volume: ops.slice(first) };
}

/** Runs operations over a volume, in the order in which they are written. The input's values may be overwritten. */
export function applyVolume(volume: PixelVolume, ops: readonly PixelOp[]): PixelVolume {
  return ops.reduce(applyOp, volume);
}

function applyOp(volume: PixelVolume, op: PixelOp): PixelVolume {
  if (!needsVolume(op)) return sliceBySlice(volume, op);
  switch (op.op) {
    case 'reorient':
      return reorient(volume, op);
    case 'resample_spacing':
      return resampleVolume(volume, op);
    case 'z_score':
      return { ...volume, range: zScoreInto(volume.data, volume.data, volume.range, op.foreground) };
    case 'percentile_clip':
      return { ...volume, range: percentileClipInto(volume.data, volume.data, op) };
    case 'crop':
      return cropVolume(volume, op);
    case 'pad':
      return padVolume(volume, op);
    default:
      return volume;
  }
}

function sliceBySlice(volume: PixelVolume, op: PixelOp): PixelVolume {
  const { slices, rows, columns } = volume;
  const size = rows * columns;
  let data = volume.data;
  let shape: PixelImage | null = null;
  for (let slice = 0; slice < slices; slice++) {
    const image = applyPixels(imageOf(volume, volume.data.subarray(slice * size, (slice + 1) * size)), [op]);
    if (shape === null && image.data.length !== size) {
      checkSize(slices * image.data.length);
      data = new Float32Array(slices * image.data.length);
    }
    shape = image;
    data.set(image.data, slice * image.data.length);
  }
  if (!shape) return volume;
  const toSource = compose(volume.toSource, regionAffine(shape));
  return { ...volume, rows: shape.rows, columns: shape.columns, data, range: shape.range, toSource };
}

/** A slice as an image whose region is told in this volume's own pixels. */
const imageOf = ({ rows, columns, range, source }: PixelVolume, data: Float32Array): PixelImage => ({
  rows,
  columns,
  samples: 1,
  data,
  range,
  region: { row: 0, column: 0, rows, columns },
  source,
});
