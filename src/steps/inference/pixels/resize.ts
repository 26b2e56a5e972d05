import type { PixelOp } from '../../../governance/manifest.ts';
import type { LookedImage } from './apply-points.ts';
import { type PixelImage, partOfRegion } from './pixel-image.ts';
import { type ResampleShape, resampleFloat } from './resample.ts';
import { resizeNearest } from './resize-nearest.ts';
import {
  alignCorners,
  gridExtent,
  halfPixel,
  RESIZE_FILTERS,
  type ResizeWeights,
  resizeWeights,
} from './resize-weights.ts';

/**
 * Resampling by separable convolution, first along rows, then along columns, half-pixel centres, the kernel renormalised where it
 * leaves the image: the method of Pillow, so that a model trained with it sees the same pixels.
 *
 * Two paths. Whole 8-bit values (`round_8bit`): weights are fixed-point numbers of 22 bits and each pass rounds and clips to 8
 * bits, which makes the result equal to Pillow's bit for bit. Everything else: weights in double precision, Float32 between the
 * passes, no clipping (Pillow's mode `F`). A pass whose length does not change is left out. `area` is the box filter:
 * a source pixel counts whole when its centre lies in the target pixel.
 */
export function resize(image: PixelImage | LookedImage, op: ResizeOp): PixelImage {
  const { rows, columns, method } = op;
  if ('table' in image) return convolve(image, op);
  const given = op.round_8bit ? { ...image, data: rounded8Bit(image.data), range: EIGHT_BIT } : image;
  if (rows === image.rows && columns === image.columns) return given;
  if (method === 'nearest') return { ...given, rows, columns, data: resizeNearest(given, rows, columns) };
  return convolve(given, op);
}

export type ResizeOp = Extract<PixelOp, { op: 'resize' }>;

/** Can values be looked up on the way, line by line? */
export const resizesLooked = (image: LookedImage, op: ResizeOp): boolean =>
  !op.round_8bit && op.method !== 'nearest' && op.columns !== image.columns;

function convolve(given: PixelImage | LookedImage, op: ResizeOp): PixelImage {
  const { rows, columns, method } = op;
  const { range, samples, source } = given;
  const filter = RESIZE_FILTERS[method === 'nearest' ? 'area' : method];
  const grid = op.centres === 'align_corners' ? alignCorners : halfPixel;
  const [acrossGrid, downGrid] = [grid(given.columns, columns), grid(given.rows, rows)];
  const along =
    columns === given.columns
      ? null
      : resizeWeights(given.columns, columns, filter, op.antialias, acrossGrid);
  const down = rows === given.rows ? null : resizeWeights(given.rows, rows, filter, op.antialias, downGrid);
  const [high, wide] = [gridExtent(downGrid, rows), gridExtent(acrossGrid, columns)];
  const part = { row: high.start, column: wide.start, rows: high.length, columns: wide.length };
  return {
    ...{ rows, columns, samples, range, source, region: partOfRegion(given, part) },
    data: convolved(given, op, along, down),
  };
}

function convolved(
  given: PixelImage | LookedImage,
  op: ResizeOp,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
): PixelImage['data'] {
  if ('table' in given) return resampleFloat(given, given, along, down);
  return given.data instanceof Uint8Array && op.round_8bit
    ? resample8Bit(given.data, given, along, down)
    : resampleFloat(given.data, given, along, down);
}

const EIGHT_BIT = { min: 0, max: 255 };

/** Bits of the fraction in the 8-bit path: 32 less 8 for the value and 2 of headroom for kernels with negative lobes. */
const FRACTION_BITS = 22;

function resample8Bit(
  source: Uint8Array,
  shape: ResampleShape,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
) {
  let data = source;
  let { columns } = shape;
  if (along) {
    const target = new Uint8Array(shape.rows * along.length * shape.samples);
    convolveRows8Bit(data, target, { ...shape, weights: along });
    data = target;
    columns = along.length;
  }
  if (down) {
    const target = new Uint8Array(down.length * columns * shape.samples);
    convolveColumns8Bit(data, target, { columns, samples: shape.samples, weights: down });
    data = target;
  }
  return data;
}

/*
 * The two paths have loops of their own, each over one kind of array: a loop that sees both kinds, or calls a function per pixel, takes five
 * times as long in V8.
 */

/** Sums start with half a unit, so that the shift rounds. */
const HALF = 1 << (FRACTION_BITS - 1);

interface ResamplePass {
  readonly columns: number;
  readonly samples: number;
  readonly weights: ResizeWeights;
}

function convolveRows8Bit(
  source: Uint8Array,
  target: Uint8Array,
  pass: ResamplePass & { readonly rows: number },
): void {
  const { rows, columns, samples, weights } = pass;
  const { size, first, count } = weights;
  const weight = fixedPoint(weights);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    const line = y * columns;
    for (let x = 0; x < weights.length; x++) {
      const taps = count[x]!;
      for (let sample = 0; sample < samples; sample++) {
        let from = (line + first[x]!) * samples + sample;
        let sum = HALF;
        for (let k = 0; k < taps; k++, from += samples)
          sum = (sum + Math.imul(source[from]!, weight[x * size + k]!)) | 0;
        target[at++] = eightBits(sum);
      }
    }
  }
}

function convolveColumns8Bit(source: Uint8Array, target: Uint8Array, pass: ResamplePass): void {
  const { columns, samples, weights } = pass;
  const { size, first, count } = weights;
  const weight = fixedPoint(weights);
  const line = columns * samples;
  const sums = new Int32Array(line);
  for (let y = 0; y < weights.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const from = (first[y]! + k) * line;
      const factor = weight[y * size + k]!;
      for (let i = 0; i < line; i++) sums[i]! += Math.imul(source[from + i]!, factor);
    }
    for (let i = 0; i < line; i++) target[y * line + i] = eightBits(sums[i]!);
  }
}

function fixedPoint(weights: ResizeWeights): Int32Array {
  const one = 2 ** FRACTION_BITS;
  return Int32Array.from(weights.weight, (w) => Math.trunc(w * one + (w < 0 ? -0.5 : 0.5)));
}

function eightBits(sum: number): number {
  const value = sum >> FRACTION_BITS;
  return value < 0 ? 0 : Math.min(value, 255);
}

function rounded8Bit(data: PixelImage['data']): Uint8Array {
  if (data instanceof Uint8Array) return data;
  const rounded = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = Math.floor(data[i]! + 0.5);
    rounded[i] = Math.max(0, Math.min(255, value));
  }
  return rounded;
}
