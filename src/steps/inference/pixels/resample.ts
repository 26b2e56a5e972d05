import type { PixelImage } from './pixel-image.ts';
import { type Looked, lookUp } from './point-table.ts';
import { layOutResample, resampleLoops } from './resample-memory.ts';
import type { ResizeWeights } from './resize-weights.ts';

export type ResampleShape = Pick<PixelImage, 'rows' | 'columns' | 'samples'>;
type Values = PixelImage['data'];

/**
 * Separable resampling in floating point: along the rows, then down the columns; null: that axis stays as it is. Values are taken as Float32, weights and sums
 * are in double precision, between the passes stands Float32, nothing is clipped. The source may be cells still to be looked up.
 */
export function resampleFloat(
  source: Values | Looked,
  shape: ResampleShape,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
): Values {
  const columns = along?.length ?? shape.columns;
  const data = along ? convolveRows(source, shape, along) : source;
  const values = 'table' in data ? lookUp(data) : data;
  return down ? convolveColumns(values, columns * shape.samples, down) : values;
}

/** Some lines after the other: of an image of any size only this much, or four lines, lies in the memory of the compiled loops. */
const PART_BYTES = 2 ** 20;

function convolveRows(
  source: Values | Looked,
  { rows, columns, samples }: ResampleShape,
  weights: ResizeWeights,
): Float32Array {
  const { length, size } = weights;
  const [line, targetLine] = [columns * samples, length * samples];
  const kind = 'table' in source ? source.cells.BYTES_PER_ELEMENT : Float32Array.BYTES_PER_ELEMENT;
  const part = Math.min(rows, 4 * Math.ceil(PART_BYTES / (16 * (line + targetLine))));
  const { buffer, taps, table, spread, from, to } = layOutResample(weights, {
    table: 'table' in source ? source.table.length * 4 : 0,
    spread: line * 32,
    from: part * line * kind,
    to: part * targetLine * 4,
  });
  if ('table' in source) new Float32Array(buffer, table, source.table.length).set(source.table);
  const target = new Float32Array(rows * targetLine);
  for (let row = 0; row < rows; row += part) {
    const count = Math.min(part, rows - row);
    putCells(source, row * line, buffer, from, count * line);
    resampleLoops().convolveRows(
      ...[kind, from, table, spread, to],
      ...[count, line, samples, length, size, taps],
    );
    target.set(new Float32Array(buffer, to, count * targetLine), row * targetLine);
  }
  return target;
}

/** Cells that are to be looked up go over as they are, values as Float32. */
function putCells(
  source: Values | Looked,
  start: number,
  buffer: ArrayBuffer,
  at: number,
  count: number,
): void {
  const cells = 'table' in source ? source.cells : source;
  const kind = 'table' in source ? (cells.BYTES_PER_ELEMENT === 1 ? Uint8Array : Uint16Array) : Float32Array;
  new kind(buffer, at, count).set(cells.subarray(start, start + count));
}

/**
 * Down the columns, or along any other axis: a line is all that lies side by side there (a whole slice, for the axis of the slices). A broad line is
 * done some columns after the other.
 */
export function convolveColumns(source: Values, line: number, weights: ResizeWeights): Float32Array {
  const { length, size } = weights;
  const rows = source.length / line;
  const part = Math.min(line, Math.max(COLUMNS_MIN, Math.floor(PART_BYTES / (4 * (rows + length)))));
  const { buffer, taps, from, to } = layOutResample(weights, {
    from: rows * part * 4 + BEHIND_BYTES,
    to: length * part * 4 + BEHIND_BYTES,
  });
  const target = new Float32Array(length * line);
  for (let column = 0; column < line; column += part) {
    const wide = Math.min(part, line - column);
    const given = new Float32Array(buffer, from, rows * wide);
    const made = new Float32Array(buffer, to, length * wide);
    copyColumns(source, column, line, given, 0, wide, wide);
    resampleLoops().convolveColumns(from, to, wide, length, size, taps);
    copyColumns(made, 0, wide, target, column, line, wide);
  }
  return target;
}

const COLUMNS_MIN = 64;
/** The loops go on in fours of columns. */
const BEHIND_BYTES = 3 * 4;

/** `wide` columns from one place to another: where they begin in the first line, and how far the lines lie apart. */
function copyColumns(
  source: Values,
  from: number,
  fromLine: number,
  target: Float32Array,
  to: number,
  toLine: number,
  wide: number,
): void {
  if (fromLine === wide && toLine === wide) target.set(source);
  else
    for (let at = from, put = to; at < source.length; at += fromLine, put += toLine)
      target.set(source.subarray(at, at + wide), put);
}
