import { describe, expect, it } from 'vitest';
import { eachMaskRun, encodeMaskRuns } from './mask-runs.ts';
import { packFrames } from './seg/pack-frames.ts';
import { segmentNumbers } from './write-segmentation.ts';

/** The mask again, voxel by voxel. */
function expand(runs: Uint8Array, voxels: number): number[] {
  const mask = new Array<number>(voxels).fill(0);
  expect(
    eachMaskRun(runs, (value, first, length) => {
      mask.fill(value, first, first + length);
    }),
  ).toBe(voxels);
  return mask;
}

describe('a mask as runs', () => {
  it('comes back voxel by voxel, whatever its runs', () => {
    let seed = 1;
    const mask = Uint8Array.from({ length: 50_000 }, (_, at) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return at % 997 < 400 ? 0 : seed % 3;
    });
    const { runs, present } = encodeMaskRuns(mask);
    expect(expand(runs, mask.length)).toEqual([...mask]);
    expect(present).toEqual([1, 2]);
  });

  it('of a large empty volume takes a few bytes, and of nothing none', () => {
    expect(encodeMaskRuns(new Float32Array(3_000_000)).runs.length).toBeLessThan(8);
    expect(encodeMaskRuns([0]).present).toEqual([]);
  });

  it('takes whatever is above 0 for the region, and not-a-number for outside', () => {
    const { runs } = encodeMaskRuns(Float32Array.of(0.2, Number.NaN, -1, 300, 2));
    expect(expand(runs, 5)).toEqual([1, 0, 0, 255, 2]);
  });
});

describe('frames packed as bits', () => {
  it('are put together without a gap, lowest bit first, also where a frame is no whole number of bytes', () => {
    // Two slices of 3 × 3: the frames are 9 bits each, the second begins in the middle of a byte.
    const mask = [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 2];
    const { runs } = encodeMaskRuns(mask);
    const { frames, bits } = packFrames([runs], 9, [
      { mask: 0, values: { from: 1, to: 255 } },
      { mask: 0, values: { from: 2, to: 255 } },
    ]);
    expect(frames).toEqual([
      { segment: 0, slice: 0 },
      { segment: 0, slice: 1 },
      { segment: 1, slice: 0 },
      { segment: 1, slice: 1 },
    ]);
    const bit = (at: number) => ((bits[Math.floor(at / 8)] ?? 0) >> (at % 8)) & 1;
    const unpacked = Array.from({ length: 36 }, (_, at) => bit(at));
    const finding = mask.map((value) => (value === 2 ? 1 : 0));
    expect(unpacked).toEqual([...mask.map((value) => (value > 0 ? 1 : 0)), ...finding]);
    expect(bits).toHaveLength(5);
  });

  it('a run over the end of a slice is divided there, and slices without the segment are left out', () => {
    const mask = new Array<number>(64).fill(0).fill(1, 14, 18);
    const { frames, bits } = packFrames([encodeMaskRuns(mask).runs], 16, [
      { mask: 0, values: { from: 1, to: 1 } },
    ]);
    expect(frames.map(({ slice }) => slice)).toEqual([0, 1]);
    expect([...bits]).toEqual([0, 0b1100_0000, 0b11, 0]);
  });

  it('segments without a voxel have no number', () => {
    expect(
      segmentNumbers(
        [[1, 3], [1]],
        [
          { mask: 0, values: { from: 1, to: 1 } },
          { mask: 0, values: { from: 2, to: 2 } },
          { mask: 0, values: { from: 3, to: 3 } },
          { mask: 1, values: { from: 1, to: 1 } },
        ],
      ),
    ).toEqual([1, null, 2, 3]);
  });
});
