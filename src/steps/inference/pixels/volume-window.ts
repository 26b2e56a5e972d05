import { axesAffine, compose } from './affine.ts';
import { type CropOp, cropStart } from './crop.ts';
import { type PadOp, padSpan, padValue } from './pad.ts';
import type { PixelVolume } from './pixel-volume.ts';
import { checkSize } from './volume-resample.ts';

/** `crop` along all three axes. Throws `inference.pixels-invalid` when the part is not all there. */
export function cropVolume(volume: PixelVolume, op: CropOp): PixelVolume {
  const slices = op.slices ?? volume.slices;
  const at = op.at === 'centre' ? null : op.at;
  const [row, column] = at ? at.slice(-2) : [];
  const slice = at ? (at.length === 3 ? at[0]! : 0) : null;
  return part(
    volume,
    [
      { first: cropStart(volume.slices, slices, slice, 'slices'), size: slices },
      { first: cropStart(volume.rows, op.rows, row ?? null, 'rows'), size: op.rows },
      { first: cropStart(volume.columns, op.columns, column ?? null, 'columns'), size: op.columns },
    ],
    0,
  );
}

/** `pad` along all three axes. */
export function padVolume(volume: PixelVolume, op: PadOp): PixelVolume {
  const spans = [
    padSpan(volume.slices, op.slices ?? volume.slices, op.where),
    padSpan(volume.rows, op.rows, op.where),
    padSpan(volume.columns, op.columns, op.where),
  ] as const;
  checkSize(spans[0].size * spans[1].size * spans[2].size);
  return part(volume, spans, padValue(volume, op.value));
}

interface Span {
  readonly first: number;
  readonly size: number;
}

function part(volume: PixelVolume, spans: readonly [Span, Span, Span], fill: number): PixelVolume {
  const [slices, rows, columns] = spans.map(({ size }) => size) as [number, number, number];
  const data = new Float32Array(slices * rows * columns);
  if (fill !== 0) data.fill(fill);
  const [deep, down, across] = spans;
  const left = Math.max(0, -across.first);
  const right = Math.min(columns, volume.columns - across.first);
  for (let z = 0; z < slices; z++) {
    const slice = z + deep.first;
    if (slice < 0 || slice >= volume.slices) continue;
    for (let y = 0; y < rows; y++) {
      const row = y + down.first;
      if (row < 0 || row >= volume.rows || left >= right) continue;
      const line = (slice * volume.rows + row) * volume.columns + across.first;
      data.set(volume.data.subarray(line + left, line + right), (z * rows + y) * columns + left);
    }
  }
  const range = { min: Math.min(volume.range.min, fill), max: Math.max(volume.range.max, fill) };
  const inner = axesAffine([1, 1, 1], [deep.first, down.first, across.first]);
  return { ...volume, slices, rows, columns, data, range, toSource: compose(volume.toSource, inner) };
}
