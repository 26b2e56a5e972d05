import type { PixelOp } from '../../../governance/manifest.ts';
import { cutOut } from './cut-out.ts';
import { type PixelImage, valueRangeOf } from './pixel-image.ts';

export type PadOp = Extract<PixelOp, { op: 'pad' }>;

/** To at least `rows` × `columns`. A volume is padded in `volume-window.ts`. */
export function pad(image: PixelImage, op: PadOp): PixelImage {
  const rows = padSpan(image.rows, op.rows, op.where);
  const columns = padSpan(image.columns, op.columns, op.where);
  if (rows.size === image.rows && columns.size === image.columns) return image;
  const part = { row: rows.first, column: columns.first, rows: rows.size, columns: columns.size };
  return cutOut(image, part, padValue(image, op.value));
}

/** `first` is minus what comes before the image: half of what is missing, the odd one at the end, or nothing. */
export function padSpan(
  length: number,
  size: number,
  where: PadOp['where'],
): { first: number; size: number } {
  if (size <= length) return { first: 0, size: length };
  return { first: where === 'end' ? 0 : -Math.floor((size - length) / 2), size };
}

export const padValue = (image: Pick<PixelImage, 'data'>, value: number | 'min'): number =>
  value === 'min' ? valueRangeOf(image.data).min : value;
