import { CONTEXTS, RUN_CONTEXT, STATES, UNIFORM_CONTEXT } from './_block-memory';

/** Qe, next state after the more and after the less probable symbol, whether the latter swaps the two (Table C.2). */
const TABLE: StaticArray<u16> = [
  0x5601, 1, 1, 1, 0x3401, 2, 6, 0, 0x1801, 3, 9, 0, 0x0ac1, 4, 12, 0, 0x0521, 5, 29, 0, 0x0221, 38, 33, 0,
  0x5601, 7, 6, 1, 0x5401, 8, 14, 0, 0x4801, 9, 14, 0, 0x3801, 10, 14, 0, 0x3001, 11, 17, 0, 0x2401, 12, 18,
  0, 0x1c01, 13, 20, 0, 0x1601, 29, 21, 0, 0x5601, 15, 14, 1, 0x5401, 16, 14, 0, 0x5101, 17, 15, 0, 0x4801,
  18, 16, 0, 0x3801, 19, 17, 0, 0x3401, 20, 18, 0, 0x3001, 21, 19, 0, 0x2801, 22, 19, 0, 0x2401, 23, 20, 0,
  0x2201, 24, 21, 0, 0x1c01, 25, 22, 0, 0x1801, 26, 23, 0, 0x1601, 27, 24, 0, 0x1401, 28, 25, 0, 0x1201, 29,
  26, 0, 0x1101, 30, 27, 0, 0x0ac1, 31, 28, 0, 0x09c1, 32, 29, 0, 0x08a1, 33, 30, 0, 0x0521, 34, 31, 0,
  0x0441, 35, 32, 0, 0x02a1, 36, 33, 0, 0x0221, 37, 34, 0, 0x0141, 38, 35, 0, 0x0111, 39, 36, 0, 0x0085, 40,
  37, 0, 0x0049, 41, 38, 0, 0x0025, 42, 39, 0, 0x0015, 43, 40, 0, 0x0009, 44, 41, 0, 0x0005, 45, 42, 0,
  0x0001, 45, 43, 0, 0x5601, 46, 46, 0,
];
const COUNT: u32 = 47;

/**
 * One word for each state and each more probable symbol: that symbol in bit 63, Qe in bits 47 to 62, where the interval stands too; the address of the
 * state after the less probable symbol in bits 16 to 31 and after the more probable one in 0 to 15.
 */
export function layOutStates(): void {
  for (let state: u32 = 0; state < COUNT; state += 1) {
    const qe = <u64>TABLE[state * 4];
    const more = <u32>TABLE[state * 4 + 1];
    const less = <u32>TABLE[state * 4 + 2];
    for (let symbol: u32 = 0; symbol < 2; symbol += 1) {
      const other = symbol ^ <u32>TABLE[state * 4 + 3];
      const word =
        ((<u64>symbol) << 63) |
        (qe << 47) |
        ((<u64>addressOf(less, other)) << 16) |
        <u64>addressOf(more, symbol);
      store<u64>(addressOf(state, symbol), word);
    }
  }
}

/** At the start of each code-block (Table D.7). */
export function resetContexts(): void {
  const zero = load<u64>(addressOf(0, 0));
  for (let context = CONTEXTS; context < CONTEXTS + 19 * 8; context += 8) store<u64>(context, zero);
  store<u64>(CONTEXTS, load<u64>(addressOf(4, 0)));
  store<u64>(RUN_CONTEXT, load<u64>(addressOf(3, 0)));
  store<u64>(UNIFORM_CONTEXT, load<u64>(addressOf(46, 0)));
}

function addressOf(state: u32, symbol: u32): usize {
  return STATES + (state * 2 + symbol) * 8;
}
