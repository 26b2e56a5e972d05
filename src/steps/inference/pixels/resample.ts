/** Separable resampling in floating point: weights in double precision, Float32 between the passes, nothing clipped. */
import type { PixelImage } from './pixel-image.ts';
import { type Looked, lookUp } from './point-table.ts';
import type { ResizeWeights } from './resize-weights.ts';

export type ResampleShape = Pick<PixelImage, 'rows' | 'columns' | 'samples'>;

/** Along the rows, then down the columns; null: that axis stays as it is. The source may be cells still to be looked up. */
export function resampleFloat(
  source: PixelImage['data'] | Looked,
  shape: ResampleShape,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
): PixelImage['data'] {
  let data = source;
  let { columns } = shape;
  if (along) {
    const target = new Float32Array(shape.rows * along.length * shape.samples);
    convolveRows(data, target, { ...shape, weights: along });
    data = target;
    columns = along.length;
  }
  const values = 'table' in data ? lookUp(data) : data;
  if (!down) return values;
  const target = new Float32Array(down.length * columns * shape.samples);
  convolveColumns(values, target, { columns, samples: shape.samples, weights: down });
  return target;
}

export interface ResamplePass {
  readonly columns: number;
  readonly samples: number;
  readonly weights: ResizeWeights;
}

/**
 * Four lines at a time, their values side by side: one sum has to wait for its last addition, four do not wait for each other, and each
 * still adds up in the same order.
 */
function convolveRows(
  source: PixelImage['data'] | Looked,
  target: Float32Array,
  pass: ResamplePass & { readonly rows: number },
): void {
  const length = pass.columns * pass.samples;
  const lines = new Float64Array(length * LINES);
  for (let row = 0; row < pass.rows; row += LINES) {
    // Behind the last row the last one again, which is not written.
    const count = Math.min(LINES, pass.rows - row);
    const from = [0, 1, 2, 3].map((lane) => (row + Math.min(lane, count - 1)) * length);
    if ('table' in source) spreadLooked(source, from, length, lines);
    else spread(source, from, length, lines);
    convolveLines(lines, target, row, count, pass);
  }
}

const LINES = 4;

function convolveLines(
  lines: Float64Array,
  target: Float32Array,
  row: number,
  count: number,
  { samples, weights }: ResamplePass,
): void {
  const { size, first, count: counts, weight, length } = weights;
  const line = length * samples;
  const step = LINES * samples;
  for (let x = 0, at = row * line; x < length; x++) {
    const start = x * size;
    const end = start + counts[x]!;
    for (let sample = 0; sample < samples; sample++, at++) {
      let from = (first[x]! * samples + sample) * LINES;
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let k = start; k < end; k++, from += step) {
        const factor = weight[k]!;
        a += lines[from]! * factor;
        b += lines[from + 1]! * factor;
        c += lines[from + 2]! * factor;
        d += lines[from + 3]! * factor;
      }
      target[at] = a;
      if (count > 1) target[at + line] = b;
      if (count > 2) target[at + 2 * line] = c;
      if (count > 3) target[at + 3 * line] = d;
    }
  }
}

function spread(
  source: PixelImage['data'],
  [a = 0, b = 0, c = 0, d = 0]: readonly number[],
  length: number,
  lines: Float64Array,
): void {
  for (let i = 0, to = 0; i < length; i++, to += LINES) {
    lines[to] = Math.fround(source[a + i]!);
    lines[to + 1] = Math.fround(source[b + i]!);
    lines[to + 2] = Math.fround(source[c + i]!);
    lines[to + 3] = Math.fround(source[d + i]!);
  }
}

function spreadLooked(
  { cells, table }: Looked,
  [a = 0, b = 0, c = 0, d = 0]: readonly number[],
  length: number,
  lines: Float64Array,
): void {
  for (let i = 0, to = 0; i < length; i++, to += LINES) {
    lines[to] = table[cells[a + i]!]!;
    lines[to + 1] = table[cells[b + i]!]!;
    lines[to + 2] = table[cells[c + i]!]!;
    lines[to + 3] = table[cells[d + i]!]!;
  }
}

/** Also down any other axis: a line is then all that lies side by side there (a whole slice, for the axis of the slices). */
export function convolveColumns(source: PixelImage['data'], target: Float32Array, pass: ResamplePass): void {
  const { columns, samples, weights } = pass;
  const { size, first, count, weight } = weights;
  const line = columns * samples;
  // Sums of a whole line at once: the source is read in the order in which it lies in memory.
  const sums = new Float64Array(line);
  for (let y = 0; y < weights.length; y++) {
    sums.fill(0);
    for (let k = 0; k < count[y]!; k++) {
      const from = (first[y]! + k) * line;
      const factor = weight[y * size + k]!;
      for (let i = 0; i < line; i++) sums[i]! += source[from + i]! * factor;
    }
    target.set(sums, y * line);
  }
}
