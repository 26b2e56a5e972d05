/** Where the cells are put. */
const CELLS: usize = 1024;
const CELLS_BYTES_MAX: usize = 64 * 1024;

export function cellsAt(): usize {
  return CELLS;
}

export function cellsBytesMax(): usize {
  return CELLS_BYTES_MAX;
}

/** Keeps of every four bytes the bits of `mask`; `bytes`: rounded up to 16. */
export function keepBits(bytes: usize, mask: u32): void {
  const every = i32x4.splat(mask);
  for (let at = CELLS; at < CELLS + bytes; at += 16) v128.store(at, v128.and(v128.load(at), every));
}

memory.grow(2);
