import { type LookupTable, lookUp } from '../../../dicom/lookup-table.ts';
import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import { type PixelImage, type VoiWindow, valueRangeOf } from './pixel-image.ts';

type WindowOp = Extract<PixelOp, { op: 'window' }>;

/**
 * VOI onto `to`, as Float32: PS3.3 C.11.2.1.2.1 (LINEAR, where the window reaches from c − 0.5 − (w − 1)/2), C.11.2.1.3.2
 * (LINEAR_EXACT), C.11.2.1.3.1 (SIGMOID), C.11.2.1.1 (a table, whose bits are stretched onto `to`). What the file has is for modality values. Throws
 * `inference.window-missing` when it has none and the manifest does not say what to do then.
 */
export function window(image: PixelImage, op: WindowOp): PixelImage {
  const [low, high] = op.to;
  const voi = op.voi === 'file' ? (ofFile(image, op) ?? ownWindow(image, op.missing)) : op.voi;
  const data = new Float32Array(image.data.length);
  if ('values' in voi) byTable(image.data, data, voi, op.to);
  else if (voi.shape === 'SIGMOID') sigmoid(image.data, data, voi, op.to);
  else linear(image.data, data, voi, op.to);
  return { ...image, data, range: { min: Math.min(low, high), max: Math.max(low, high) } };
}

/** A file may have both, and either may be shown (C.11.2.1): the window, unless the manifest prefers the table. */
function ofFile({ source }: PixelImage, { prefer }: WindowOp): VoiWindow | LookupTable | null {
  const [window, table] = [source.window ?? null, source.voiTable ?? null];
  return prefer === 'table' ? (table ?? window) : (window ?? table);
}

/** From the lowest value to the highest. A flat image is all at the lower end. */
function ownWindow(image: PixelImage, missing: 'refuse' | 'minmax' | undefined): VoiWindow {
  if (missing !== 'minmax') {
    throw new Failure(
      'inference.window-missing',
      'The model needs Window Center (0028,1050) and Window Width (0028,1051), or a VOI LUT Sequence (0028,3010), and the image has none.',
    );
  }
  const { min, max } = valueRangeOf(image.data);
  return { centre: (min + max) / 2, width: max - min, shape: 'LINEAR_EXACT' };
}

/** Values above what the table's bits can hold are held at the upper end. */
function byTable(
  from: PixelImage['data'],
  to: Float32Array,
  table: LookupTable,
  [low, high]: readonly [number, number],
): void {
  const top = 2 ** table.bits - 1;
  for (let i = 0; i < from.length; i++)
    to[i] = (Math.min(top, lookUp(table, from[i]!)) / top) * (high - low) + low;
}

function linear(
  from: PixelImage['data'],
  to: Float32Array,
  { centre, width, shape }: VoiWindow,
  [low, high]: readonly [number, number],
): void {
  const middle = shape === 'LINEAR' ? centre - 0.5 : centre;
  const span = shape === 'LINEAR' ? width - 1 : width;
  const [bottom, top] = [middle - span / 2, middle + span / 2];
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    if (value <= bottom) to[i] = low;
    else if (value > top) to[i] = high;
    else to[i] = ((value - middle) / span + 0.5) * (high - low) + low;
  }
}

function sigmoid(
  from: PixelImage['data'],
  to: Float32Array,
  { centre, width }: VoiWindow,
  [low, high]: readonly [number, number],
): void {
  for (let i = 0; i < from.length; i++)
    to[i] = (high - low) / (1 + Math.exp((-4 * (from[i]! - centre)) / width)) + low;
}
