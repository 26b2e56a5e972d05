import {
  CODED,
  COEFFICIENTS,
  CONTEXTS,
  FLAGS,
  NEGATIVE,
  NEIGHBOURHOOD,
  QE,
  ROWS,
  SIGN_CODING,
  SIGNIFICANT,
} from './_block-memory';
import { code, interval, left, moreCode, rest, taken } from './_code-bits';
import { tellNeighbours } from './_neighbours';

/**
 * Significance propagation (D.3.1): samples that are not significant and have a neighbour that is. `value`: what becomes significant in this bit-plane
 * is set to.
 */
export function significancePass(width: usize, height: usize, value: u32, zeroCoding: usize): void {
  let a = interval;
  let c = code;
  let ct = left;
  const line = (width + 2) * 8;
  let data = COEFFICIENTS;
  let flags = FLAGS + line + 8;
  for (let rows = <i32>height; rows > 0; rows -= 4) {
    const inside = rows < 4 ? ROWS >> ((4 - rows) * 4) : ROWS;
    const stop = data + width * 16;
    for (; data < stop; data += 16, flags += 8) {
      let w = load<u64>(flags);
      const across = w | (w >> 1) | (w >> 2);
      let todo = (across | (across >> 4) | (across >> 8)) & ~(w >> SIGNIFICANT) & inside;
      if (todo === 0) continue;
      let coded: u64 = 0;
      do {
        const s = ctz(todo);
        const one = todo & (0 - todo);
        todo ^= one;
        coded |= one;
        const context = CONTEXTS + load<u8>(zeroCoding + <usize>((w >> s) & NEIGHBOURHOOD));
        const state = load<u64>(context);
        const more = load<u64>(<usize>state & 0xffff);
        const less = load<u64>(<usize>state >>> 16);
        const qe = state & QE;
        const above = a - qe;
        const beyond = c - qe;
        const low = <i64>beyond < 0;
        const outcome = (above - qe) ^ beyond;
        a = low ? qe : above;
        c = low ? c : beyond;
        const shift = clz(a) - 1;
        store<u64>(context, shift === 0 ? state : <i64>outcome < 0 ? less : more);
        a <<= shift;
        c <<= shift;
        ct -= <i32>shift;
        while (ct < 0) {
          c += moreCode(ct);
          ct += taken;
        }
        if (<i64>(outcome ^ state) < 0) {
          const v = w >> s;
          const entry = <u64>load<u8>(SIGN_CODING + <usize>((v & 0x252) | ((v >> 25) & 0x129)));
          const context = CONTEXTS + <usize>(entry & 0xf8);
          const state = load<u64>(context);
          const more = load<u64>(<usize>state & 0xffff);
          const less = load<u64>(<usize>state >>> 16);
          const qe = state & QE;
          const above = a - qe;
          const beyond = c - qe;
          const low = <i64>beyond < 0;
          const outcome = (above - qe) ^ beyond;
          a = low ? qe : above;
          c = low ? c : beyond;
          const shift = clz(a) - 1;
          store<u64>(context, shift === 0 ? state : <i64>outcome < 0 ? less : more);
          a <<= shift;
          c <<= shift;
          ct -= <i32>shift;
          while (ct < 0) {
            c += moreCode(ct);
            ct += taken;
          }
          const negative = ((state ^ outcome) >> 63) ^ (entry & 1);
          const mark = (((<u64>1) << SIGNIFICANT) | (negative << NEGATIVE)) << s;
          w |= mark;
          tellNeighbours(flags, line, mark, s);
          store<u32>(data + <usize>s, value | ((<u32>negative) << 31));
          todo |= (one << 4) & ~(w >> SIGNIFICANT) & inside;
        }
      } while (todo !== 0);
      store<u64>(flags, w | (coded << CODED));
    }
    flags += 16;
  }
  rest(a, c, ct);
}
