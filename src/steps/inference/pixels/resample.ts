/** Separable resampling in floating point: weights in double precision, Float32 between the passes, nothing clipped. */
import type { PixelImage } from './pixel-image.ts';
import type { ResizeWeights } from './resize-weights.ts';

export type ResampleShape = Pick<PixelImage, 'rows' | 'columns' | 'samples'>;

/** Along the rows, then down the columns; null: that axis stays as it is. */
export function resampleFloat(
  source: PixelImage['data'],
  shape: ResampleShape,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
) {
  let data: PixelImage['data'] = source;
  let { columns } = shape;
  if (along) {
    const target = new Float32Array(shape.rows * along.length * shape.samples);
    convolveRows(Float32Array.from(data), target, { ...shape, weights: along });
    data = target;
    columns = along.length;
  }
  if (down) {
    const target = new Float32Array(down.length * columns * shape.samples);
    convolveColumns(data, target, { columns, samples: shape.samples, weights: down });
    data = target;
  }
  return data;
}

export interface ResamplePass {
  readonly columns: number;
  readonly samples: number;
  readonly weights: ResizeWeights;
}

export function convolveRows(
  source: Float32Array,
  target: Float32Array,
  pass: ResamplePass & { readonly rows: number },
): void {
  const { rows, columns, samples, weights } = pass;
  const { size, first, count, weight } = weights;
  let at = 0;
  for (let y = 0; y < rows; y++) {
    const line = y * columns;
    for (let x = 0; x < weights.length; x++) {
      const taps = count[x]!;
      for (let sample = 0; sample < samples; sample++) {
        let from = (line + first[x]!) * samples + sample;
        let sum = 0;
        for (let k = 0; k < taps; k++, from += samples) sum += source[from]! * weight[x * size + k]!;
        target[at++] = sum;
      }
    }
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
