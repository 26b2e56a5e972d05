/** Of a column's word the bits of the row below its stripe and of the row above it: significant and, 24 bits higher, negative. */
const BELOW: u64 = 0x0000700000700000;
const ABOVE: u64 = 0x0000000007000007;

/**
 * What has become significant is made known to its own column, to those on either side and, from the first or last row of a stripe, to the three of the stripe above or below; there without
 * a branch on the row, which nobody can foretell. `flags`: its own column; `line`: bytes from stripe to stripe; `mark`: its bits in its own word, `s` from the lowest.
 */
export function tellNeighbours(flags: usize, line: usize, mark: u64, s: u64): void {
  store<u64>(flags, load<u64>(flags) | mark);
  store<u64>(flags - 8, load<u64>(flags - 8) | (mark << 1));
  store<u64>(flags + 8, load<u64>(flags + 8) | (mark >> 1));
  const beyond = s < 8 ? flags - line : flags + line;
  const edge = ((mark << 16) & BELOW) | ((mark >> 16) & ABOVE);
  store<u64>(beyond - 8, load<u64>(beyond - 8) | (edge << 1));
  store<u64>(beyond, load<u64>(beyond) | edge);
  store<u64>(beyond + 8, load<u64>(beyond + 8) | (edge >> 1));
}
