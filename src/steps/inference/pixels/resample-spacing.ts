import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import { type PixelImage, partOfRegion } from './pixel-image.ts';
import { resampleFloat } from './resample.ts';
import {
  firstPixel,
  gridExtent,
  halfPixel,
  RESIZE_FILTERS,
  type ResizeGrid,
  resizeWeights,
} from './resize-weights.ts';

export type ResampleSpacingOp = Extract<PixelOp, { op: 'resample_spacing' }>;

/**
 * One image to these distances of rows and columns, as Float32. Three distances concern a volume: see `volume-resample.ts`. Throws
 * `inference.spacing-missing` when the file has no Pixel Spacing.
 */
export function resampleSpacing(image: PixelImage, op: ResampleSpacingOp): PixelImage {
  const [perRow, perColumn] = op.mm as [number, number];
  const [row, column] = image.source.spacing ?? [];
  if (!row || !column)
    throw new Failure(
      'inference.spacing-missing',
      'The model needs distances of pixels in mm, and the image has no Pixel Spacing (0028,0030).',
    );
  const down = axisTo(image.rows, (row * image.region.rows) / image.rows, perRow, op);
  const across = axisTo(image.columns, (column * image.region.columns) / image.columns, perColumn, op);
  const [high, wide] = [gridExtent(down.grid, down.size), gridExtent(across.grid, across.size)];
  return {
    ...image,
    rows: down.size,
    columns: across.size,
    data: resampleFloat(image.data, image, across.weights, down.weights),
    region: partOfRegion(image, {
      row: high.start,
      column: wide.start,
      rows: high.length,
      columns: wide.length,
    }),
  };
}

/** The closest size and the grid of one axis: `length` pixels `mm` apart, wanted `target` mm apart. No weights: nothing changes. */
export function axisTo(
  length: number,
  mm: number,
  target: number,
  op: Pick<ResampleSpacingOp, 'method' | 'origin'>,
) {
  const size = Math.max(1, Math.round((length * mm) / target));
  if (size > AXIS_MAX)
    throw new Failure(
      'inference.series-too-large',
      `resample_spacing: ${size} pixels along one axis; at most ${AXIS_MAX}.`,
    );
  const grid: ResizeGrid = op.origin === 'edges' ? halfPixel(length, size) : firstPixel(target / mm);
  const same = size === length && Math.abs(grid.step - 1) < SAME_STEP;
  const filter = op.method === 'nearest' ? RESIZE_FILTERS.area : RESIZE_FILTERS[op.method];
  return same
    ? { size, grid: halfPixel(length, length), weights: null }
    : { size, grid, weights: resizeWeights(length, size, filter, false, grid) };
}

/** More than any scanner gives; a spacing of a thousandth in a file must not take all memory. */
const AXIS_MAX = 8192;
/** A distance that differs in the last digits of a decimal string is the same distance. */
const SAME_STEP = 1e-6;
