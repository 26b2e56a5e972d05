import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import { type Affine, compose } from './affine.ts';
import { type PixelVolume, type Vector, volumeSteps } from './pixel-volume.ts';

/**
 * Axes swapped and mirrored until they run as `to` says, each to the direction it is closest to; nothing is interpolated, so a tilted
 * volume stays tilted. LPS and RAS name where the columns, rows and slices run to. `axes` xyz: the left-right axis comes first, as in
 * NIfTI arrays. Throws `inference.spacing-missing` when the files have no orientation.
 */
export function reorient(volume: PixelVolume, op: Extract<PixelOp, { op: 'reorient' }>): PixelVolume {
  const steps = volumeSteps(volume);
  if (!steps)
    throw new Failure(
      'inference.spacing-missing',
      'The model needs the axes of the patient, and the files lack Image Position (Patient) or Image Orientation (Patient).',
    );
  const axisOf = nearestAxes(steps);
  // Along patient x, y, z: which axis of the volume, and whether it has to run the other way.
  const wanted = op.to === 'LPS' ? [1, 1, 1] : [-1, -1, 1];
  const order = op.axes === 'xyz' ? [0, 1, 2] : [2, 1, 0];
  const picks = order.map((patient) => {
    const axis = axisOf[patient]!;
    return { axis, flip: steps[axis]![patient]! * wanted[patient]! < 0 };
  });
  return turned(volume, picks);
}

/** For patient x, y, z the axis of the volume that runs along it: the best of all six assignments. */
function nearestAxes(steps: readonly Vector[]): readonly [number, number, number] {
  const along = (axis: number, patient: number) => {
    const step = steps[axis] ?? [0, 0, 0];
    return Math.abs(step[patient]!) / Math.hypot(...step);
  };
  const score = (way: readonly number[]) => way.reduce((sum, axis, patient) => sum + along(axis, patient), 0);
  return ASSIGNMENTS.reduce((best, way) => (score(way) > score(best) ? way : best));
}

const ASSIGNMENTS: readonly (readonly [number, number, number])[] = [
  [2, 1, 0],
  [2, 0, 1],
  [1, 2, 0],
  [1, 0, 2],
  [0, 1, 2],
  [0, 2, 1],
];

interface Pick {
  readonly axis: number;
  readonly flip: boolean;
}

/** New axis i is the old axis `picks[i].axis`, mirrored where `flip` says so. */
function turned(volume: PixelVolume, picks: readonly Pick[]): PixelVolume {
  if (picks.every(({ axis, flip }, i) => axis === i && !flip)) return volume;
  const sizes = [volume.slices, volume.rows, volume.columns];
  const strides = [volume.rows * volume.columns, volume.columns, 1];
  const [slices = 0, rows = 0, columns = 0] = picks.map(({ axis }) => sizes[axis]!);
  const [perSlice = 0, perRow = 0, perColumn = 0] = picks.map(
    ({ axis, flip }) => strides[axis]! * (flip ? -1 : 1),
  );
  const start = picks.reduce(
    (sum, { axis, flip }) => sum + (flip ? strides[axis]! * (sizes[axis]! - 1) : 0),
    0,
  );
  const data = new Float32Array(volume.data.length);
  let at = 0;
  for (let z = 0; z < slices; z++) {
    for (let y = 0; y < rows; y++) {
      let from = start + z * perSlice + y * perRow;
      for (let x = 0; x < columns; x++, from += perColumn) data[at++] = volume.data[from]!;
    }
  }
  return {
    ...volume,
    slices,
    rows,
    columns,
    data,
    toSource: compose(volume.toSource, turnAffine(picks, sizes)),
  };
}

function turnAffine(picks: readonly Pick[], sizes: readonly number[]): Affine {
  const affine = new Array<number>(12).fill(0);
  picks.forEach(({ axis, flip }, i) => {
    affine[axis * 4 + i] = flip ? -1 : 1;
    affine[axis * 4 + 3] = flip ? sizes[axis]! - 1 : 0;
  });
  return affine;
}
