/**
 * Spatially correlated texture: a cube of smoothed white noise that repeats without a seam, read with trilinear
 * interpolation at any place in millimetres.
 */
import type { Random } from './random.ts';

/** Lattice points per edge; a power of two so that wrapping is a mask. */
const EDGE = 64;
const WRAP = EDGE - 1;

export interface Texture {
  /** About standard normal; correlated over some lattice steps. */
  at(xMm: number, yMm: number, zMm: number): number;
}

/** `stepMm`: distance of lattice points; `passes`: how often it is smoothed over three points, more is coarser. */
export function createTexture(random: Random, stepMm: number, passes: number): Texture {
  let cube = Float32Array.from(
    { length: EDGE ** 3 },
    () => random.next() + random.next() + random.next() - 1.5,
  );
  for (let pass = 0; pass < passes; pass += 1) {
    for (const stride of [1, EDGE, EDGE * EDGE]) cube = smooth(cube, stride);
  }
  standardise(cube);
  return { at: (x, y, z) => trilinear(cube, x / stepMm, y / stepMm, z / stepMm) };
}

/** Weights 1, 2, 1 along one edge; `stride` is the distance of neighbours. */
function smooth(cube: Float32Array, stride: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(cube.length);
  const span = stride * EDGE;
  for (let start = 0; start < cube.length; start += span) {
    for (let step = 0; step < EDGE; step += 1) {
      const here = start + step * stride;
      const before = start + ((step + WRAP) & WRAP) * stride;
      const after = start + ((step + 1) & WRAP) * stride;
      for (let i = 0; i < stride; i += 1) {
        out[here + i] =
          ((cube[before + i] as number) + 2 * (cube[here + i] as number) + (cube[after + i] as number)) / 4;
      }
    }
  }
  return out;
}

function standardise(cube: Float32Array): void {
  let sum = 0;
  let squares = 0;
  for (const value of cube) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / cube.length;
  const deviation = Math.sqrt(squares / cube.length - mean * mean);
  for (let index = 0; index < cube.length; index += 1)
    cube[index] = ((cube[index] as number) - mean) / deviation;
}

function trilinear(cube: Float32Array, x: number, y: number, z: number): number {
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const z0 = Math.floor(z);
  const fx = x - x0;
  const fy = y - y0;
  const fz = z - z0;
  const xa = x0 & WRAP;
  const xb = (x0 + 1) & WRAP;
  const ya = (y0 & WRAP) * EDGE;
  const yb = ((y0 + 1) & WRAP) * EDGE;
  const za = (z0 & WRAP) * EDGE * EDGE;
  const zb = ((z0 + 1) & WRAP) * EDGE * EDGE;
  const line = (offset: number) =>
    (cube[offset + xa] as number) * (1 - fx) + (cube[offset + xb] as number) * fx;
  const low = line(za + ya) * (1 - fy) + line(za + yb) * fy;
  const high = line(zb + ya) * (1 - fy) + line(zb + yb) * fy;
  return low * (1 - fz) + high * fz;
}
