/**
 * What has become significant is made known to the columns on either side and, from the first or last row of a stripe, to the stripe above or below. `flags`: its
 * own column, whose word the caller holds; `line`: bytes from stripe to stripe; `mark`: the bits set in its own word, `s` from the lowest.
 */
export function tellNeighbours(flags: usize, line: usize, mark: u64, s: u64): void {
  store<u64>(flags - 8, load<u64>(flags - 8) | (mark << 1));
  store<u64>(flags + 8, load<u64>(flags + 8) | (mark >> 1));
  if (s === 0) {
    const above = flags - line;
    store<u64>(above - 8, load<u64>(above - 8) | (mark << 17));
    store<u64>(above, load<u64>(above) | (mark << 16));
    store<u64>(above + 8, load<u64>(above + 8) | (mark << 15));
  }
  if (s === 12) {
    const below = flags + line;
    store<u64>(below - 8, load<u64>(below - 8) | (mark >> 15));
    store<u64>(below, load<u64>(below) | (mark >> 16));
    store<u64>(below + 8, load<u64>(below + 8) | (mark >> 17));
  }
}
