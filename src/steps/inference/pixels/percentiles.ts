import type { PixelArray } from './pixel-image.ts';

/**
 * Percentiles of values, linear between the two nearest ranks (R's type 7, numpy's default), exactly and without sorting: the bits of a
 * Float32 are put into an order that follows the values, a histogram of their upper halves finds the bin of a rank, one of the lower halves
 * within it finds the value. 80 million voxels take half a second where sorting takes ten. `skipZero`: only values that are not 0 count.
 * Gives 0 for each when there are no values.
 */
export function percentiles(values: PixelArray, wanted: readonly number[], skipZero = false): number[] {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const upper = new Uint32Array(BINS);
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    if (skipZero && floats[i] === 0) continue;
    upper[ordered(bits[i]!) >>> 16]!++;
    count++;
  }
  if (count === 0) return wanted.map(() => 0);
  const known = new Map<number, number>();
  const atRank = (rank: number): number => {
    const value = known.get(rank) ?? valueAt(bits, upper, rank, skipZero);
    known.set(rank, value);
    return value;
  };
  return wanted.map((percent) => {
    const rank = (percent / 100) * (count - 1);
    const below = Math.floor(rank);
    const low = atRank(below);
    return below === rank ? low : low + (atRank(below + 1) - low) * (rank - below);
  });
}

const BINS = 65_536;

/** Order of the bits as that of the values: the sign bit turned, and for negative values all others too. */
const ordered = (bits: number): number => (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;

function valueAt(bits: Uint32Array, upper: Uint32Array, rank: number, skipZero: boolean): number {
  let bin = 0;
  let before = 0;
  while (before + upper[bin]! <= rank) before += upper[bin++]!;
  const lower = new Uint32Array(BINS);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    // Zero is 0x00000000 or, negative, 0x80000000.
    if (skipZero && (value & 0x7fffffff) === 0) continue;
    const key = ordered(value);
    if (key >>> 16 === bin) lower[key & 0xffff]!++;
  }
  let low = 0;
  while (before + lower[low]! <= rank) before += lower[low++]!;
  const key = ((bin << 16) | low) >>> 0;
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, key & 0x80000000 ? key & 0x7fffffff : ~key >>> 0);
  return view.getFloat32(0);
}
