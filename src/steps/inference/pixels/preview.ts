import { type LookupTable, lookUp } from '../../../dicom/lookup-table.ts';
import { channels } from './channels.ts';
import { modalityValues } from './modality-values.ts';
import { type PixelImage, type PixelRegion, type VoiWindow, valueRangeOf } from './pixel-image.ts';

export type { VoiWindow } from './pixel-image.ts';

/** The image as a person sees it, 8 bits, small enough for a page. */
export interface Preview {
  readonly rows: number;
  readonly columns: number;
  readonly data: Uint8Array;
  /** Stored pixels per preview pixel, down and across. */
  readonly shrink: number;
  /** What the model saw of it, in preview pixels; null when it saw all. */
  readonly seen: PixelRegion | null;
}

/** The longer side of a key picture. A worklist shows it at half of that; a reader can still see a small pneumothorax. */
export const PREVIEW_SIDE_MAX = 768;

/**
 * Made small by whole numbers of pixels, modality values, then the file's window or table (or minimum to maximum where it has neither), then MONOCHROME1
 * turned: the order of PS3.4 N.2. `region`: the part of the stored image that the model's pixels show.
 */
export function previewOf(stored: PixelImage, window: VoiWindow | null, region: PixelRegion): Preview {
  const factor = Math.ceil(Math.max(stored.rows, stored.columns) / PREVIEW_SIDE_MAX);
  const small = shrink(channels(stored, 1), factor);
  const { rows, columns } = small;
  const { data } = modalityValues(small);
  const shown = toGrey(Float32Array.from(data), window ?? stored.source.voiTable ?? null);
  if (stored.source.monochrome1) for (let i = 0; i < shown.length; i++) shown[i] = WHITE - shown[i]!;
  return {
    rows,
    columns,
    data: new Uint8Array(shown.buffer),
    shrink: factor,
    seen: seenRegion(stored, region, rows, columns),
  };
}

/** Means of factor × factor pixels; a last row or column that fills no square is left out. */
function shrink(image: PixelImage, factor: number): PixelImage {
  if (factor <= 1) return image;
  const rows = Math.max(1, Math.floor(image.rows / factor));
  const columns = Math.max(1, Math.floor(image.columns / factor));
  const data = new Float32Array(rows * columns);
  const share = 1 / (Math.min(factor, image.rows) * Math.min(factor, image.columns));
  for (let y = 0; y < Math.min(rows * factor, image.rows); y++) {
    const line = y * image.columns;
    const to = Math.floor(y / factor) * columns;
    for (let x = 0, from = line; x < columns; x++) {
      let sum = 0;
      for (let k = 0; k < factor && from < line + image.columns; k++) sum += image.data[from++]!;
      data[to + x]! += sum * share;
    }
  }
  return { ...image, rows, columns, data };
}

const WHITE = 255;

/** PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3. A clamped array rounds and bounds what it is given. */
function toGrey(data: Float32Array, window: VoiWindow | LookupTable | null): Uint8ClampedArray<ArrayBuffer> {
  const grey = new Uint8ClampedArray(data.length);
  if (window && 'values' in window) {
    const toWhite = WHITE / (2 ** window.bits - 1);
    for (let i = 0; i < data.length; i++) grey[i] = lookUp(window, data[i]!) * toWhite;
    return grey;
  }
  if (window?.shape === 'SIGMOID') {
    const { centre, width } = window;
    for (let i = 0; i < data.length; i++)
      grey[i] = WHITE / (1 + Math.exp((-4 * (data[i]! - centre)) / width));
    return grey;
  }
  const [low, span] = window ? linear(window) : whole(data);
  const factor = WHITE / span;
  for (let i = 0; i < data.length; i++) grey[i] = (data[i]! - low) * factor;
  return grey;
}

/** Lowest value shown and width of what is shown. */
function linear({ centre, width, shape }: VoiWindow): [number, number] {
  const [middle, span] = shape === 'LINEAR' ? [centre - 0.5, Math.max(width - 1, MIN_SPAN)] : [centre, width];
  return [middle - span / 2, span];
}

function whole(data: Float32Array): [number, number] {
  const { min, max } = valueRangeOf(data);
  return [min, max > min ? max - min : Number.POSITIVE_INFINITY];
}

/** A LINEAR window of width 1 is a step; a span of 0 would divide by nothing. */
const MIN_SPAN = 1e-6;

function seenRegion(
  stored: PixelImage,
  region: PixelRegion,
  rows: number,
  columns: number,
): PixelRegion | null {
  // Padding lies outside of the image: what was seen ends at its edge.
  const top = Math.max(0, region.row);
  const left = Math.max(0, region.column);
  const bottom = Math.min(stored.rows, region.row + region.rows);
  const right = Math.min(stored.columns, region.column + region.columns);
  if (bottom - top >= stored.rows && right - left >= stored.columns) return null;
  const down = rows / stored.rows;
  const across = columns / stored.columns;
  const row = Math.round(top * down);
  const column = Math.round(left * across);
  return {
    row,
    column,
    rows: Math.min(Math.round((bottom - top) * down), rows - row),
    columns: Math.min(Math.round((right - left) * across), columns - column),
  };
}
