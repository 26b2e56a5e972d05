/**
 * A mask of a volume as runs of equal values, which takes a hundredth of its voxels: per run one byte for the value and a length in
 * base 128, low digits first, the highest bit set while more follow. Voxels are in the order of the volume, slice by slice.
 */
export function encodeMaskRuns(mask: ArrayLike<number>): MaskRuns {
  const present = new Set<number>();
  let bytes = new Uint8Array(64 * 1024);
  let at = 0;
  const put = (value: number, length: number) => {
    if (at + RUN_BYTES_MAX > bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    if (value > 0) present.add(value);
    bytes[at++] = value;
    let rest = length;
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[at++] = rest;
  };
  let start = 0;
  for (let i = 1; i <= mask.length; i++) {
    if (i < mask.length && mask[i] === mask[start]) continue;
    put(labelOf(mask[start] ?? 0), i - start);
    start = i;
  }
  return { runs: bytes.slice(0, at), present: [...present].sort((a, b) => a - b) };
}

export interface MaskRuns {
  readonly runs: Uint8Array<ArrayBuffer>;
  /** Values above 0 that occur, lowest first. */
  readonly present: readonly number[];
}

/** One value byte and seven digits: 2^49 voxels. */
const RUN_BYTES_MAX = 8;

/** Labels are whole numbers; what is not above 0 (background, NaN) is outside. */
export const labelOf = (value: number): number =>
  value > 0 ? Math.max(1, Math.min(255, Math.round(value))) : 0;

/** Calls `run` for every run that is not 0, with the index of its first voxel. Gives the number of voxels read. */
export function eachMaskRun(
  runs: Uint8Array,
  run: (value: number, first: number, length: number) => void,
): number {
  let voxel = 0;
  for (let at = 0; at < runs.length; ) {
    const value = runs[at++]!;
    let length = 0;
    let factor = 1;
    let byte: number;
    do {
      byte = runs[at++] ?? 0;
      length += (byte & 127) * factor;
      factor *= 128;
    } while (byte > 127);
    if (value > 0) run(value, voxel, length);
    voxel += length;
  }
  return voxel;
}
