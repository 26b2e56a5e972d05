/** A resampling kernel: its half width in source pixels at scale 1, and its value at a distance. */
export interface ResizeFilter {
  readonly support: number;
  at(distance: number): number;
}

/** Per target position: the first source position, how many follow, and their weights (`size` slots per position), summing to 1. */
export interface ResizeWeights {
  readonly length: number;
  readonly size: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weight: Float64Array;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** Keys' cubic with a = −0.5 (as Pillow; some libraries use −0.75 when they do not widen the filter). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

export const RESIZE_FILTERS: Readonly<Record<'area' | 'bilinear' | 'bicubic' | 'lanczos', ResizeFilter>> = {
  area: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: cubic },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * Weights for resampling a line of `from` pixels to `to`. With `antialias` the kernel widens by the factor of shrinking; without
 * it keeps its width and samples the source. `grid`: which source position a target position shows, edges at whole numbers.
 */
export function resizeWeights(
  from: number,
  to: number,
  filter: ResizeFilter,
  antialias: boolean,
  { step, shift } = halfPixel(from, to),
): ResizeWeights {
  const stretch = antialias ? Math.max(1, step) : 1;
  const support = filter.support * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weight = new Float64Array(to * size);
  for (let x = 0; x < to; x++) {
    const centre = (x + 0.5) * step + shift;
    const start = Math.min(from - 1, Math.max(0, Math.trunc(centre - support + 0.5)));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const w = filter.at((k + start - centre + 0.5) * (1 / stretch));
      weight[x * size + k] = w;
      sum += w;
    }
    // One multiplication by the reciprocal would differ from a division in the last bit.
    if (sum === 0)
      weight[x * size] = 1; // beyond the last pixel, which goes on there
    else for (let k = 0; k < taps; k++) weight[x * size + k]! /= sum;
    first[x] = start;
    count[x] = taps;
  }
  return { length: to, size, first, count, weight };
}

/** The centre of target pixel x lies at `(x + 0.5) · step + shift`, in source pixels whose edges are whole numbers. */
export interface ResizeGrid {
  readonly step: number;
  readonly shift: number;
}

/** The outer edges meet. */
export const halfPixel = (from: number, to: number): ResizeGrid => ({ step: from / to, shift: 0 });

/** The first pixels' centres meet, and target pixels are `step` source pixels apart. */
export const firstPixel = (step: number): ResizeGrid => ({ step, shift: 0.5 - 0.5 * step });

/** The centres of the first and of the last pixels meet. */
export const alignCorners = (from: number, to: number): ResizeGrid =>
  firstPixel(to > 1 ? (from - 1) / (to - 1) : 1);

/** What `to` pixels on this grid show of the source, edge to edge. */
export const gridExtent = ({ step, shift }: ResizeGrid, to: number): { start: number; length: number } => ({
  start: shift,
  length: to * step,
});
