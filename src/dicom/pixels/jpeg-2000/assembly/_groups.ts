/**
 * Which samples a pass visits, in the order of the scan: sixteen columns of a stripe are the 64 bits of a word, column after column from the lowest. A group has three such words: significant,
 * coded already in this bit-plane, refined before. Groups of no samples stand around those of a block.
 */
export const GROUP: usize = 32;
/** One bit of each column: 0x1111… and 0x8888…, which are no numbers of JavaScript. */
export const FIRST_ROW: u64 = u64.MAX_VALUE / 15;
export const LAST_ROW: u64 = FIRST_ROW * 8;

/** Which samples of a group have a significant neighbour. `line`: bytes from the groups of a stripe to those of the next. */
export function besideSignificant(group: usize, line: usize): u64 {
  const own = load<u64>(group);
  const sides = (own << 4) | (own >> 4) | (load<u64>(group - GROUP) >> 60) | (load<u64>(group + GROUP) << 60);
  const three = own | sides;
  return (
    sides |
    ((three << 1) & ~FIRST_ROW) |
    ((three >> 1) & ~LAST_ROW) |
    ((threeColumns(group - line) >> 3) & FIRST_ROW) |
    ((threeColumns(group + line) << 3) & LAST_ROW)
  );
}

function threeColumns(group: usize): u64 {
  const own = load<u64>(group);
  return own | (own << 4) | (own >> 4) | (load<u64>(group - GROUP) >> 60) | (load<u64>(group + GROUP) << 60);
}

/** The samples of a group that are in the block: `rows` and `columns` are left. */
export function insideOf(rows: i32, columns: i32): u64 {
  const all: u64 = rows < 4 ? FIRST_ROW * (((<u64>1) << rows) - 1) : u64.MAX_VALUE;
  return columns < 16 ? all & (((<u64>1) << (columns << 2)) - 1) : all;
}

/** The neighbours of the sample at `place`, of row `s / 4`, that are scanned after it, as far as the group goes. */
export function laterNeighbours(place: u64, s: u64): u64 {
  return ((0x183a3a32 >> (s << 1)) & 0xff) << place;
}
