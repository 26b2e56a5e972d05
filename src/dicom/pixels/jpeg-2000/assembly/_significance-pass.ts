import {
  COEFFICIENTS,
  CONTEXTS,
  FLAGS,
  GROUPS,
  NEGATIVE,
  NEIGHBOURHOOD,
  QE,
  SIGN_CODING,
  SIGNIFICANT,
} from './_block-memory';
import { code, interval, left, piece, rest } from './_code-bits';
import { besideSignificant, GROUP, insideOf, laterNeighbours } from './_groups';
import { tellNeighbours } from './_neighbours';

/**
 * Significance propagation (D.3.1): samples that are not significant and have a neighbour that is, sixteen columns of a stripe as the bits of one word. `value`: what becomes significant
 * in this bit-plane is set to.
 */
export function significancePass(width: usize, height: usize, value: u32, zeroCoding: usize): void {
  let a = interval;
  let c = code;
  let ct = <i64>left;
  let next = piece;
  const line = (width + 2) * 8;
  const groups = (width + 15) >> 4;
  const groupLine = (groups + 2) * GROUP;
  let group = GROUPS + groupLine + GROUP;
  let stripeData = COEFFICIENTS;
  let stripeFlags = FLAGS + line + 8;
  for (let rows = <i32>height; rows > 0; rows -= 4) {
    let data = stripeData;
    let flags = stripeFlags;
    for (let columns = <i32>width; columns > 0; columns -= 16) {
      let significant = load<u64>(group);
      const inside = insideOf(rows, columns);
      let todo = besideSignificant(group, groupLine) & ~significant & inside;
      let visited: u64 = 0;
      while (todo !== 0) {
        const place = ctz(todo);
        const one = todo & (0 - todo);
        todo ^= one;
        visited |= one;
        const s = (place & 3) << 2;
        const column = flags + <usize>((place >> 2) << 3);
        const w = load<u64>(column);
        const context = load<u8>(zeroCoding + <usize>((w >> s) & NEIGHBOURHOOD));
        const state = load<u64>(context, CONTEXTS);
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
        store<u64>(context, shift === 0 ? state : <i64>outcome < 0 ? less : more, CONTEXTS);
        a <<= shift;
        c <<= shift;
        ct -= shift;
        if (ct < 0) {
          c += load<u64>(next) << -ct;
          ct += <i64>load<i32>(next, 8);
          next += load<u32>(next, 12);
          if (ct < 0) {
            c += load<u64>(next) << -ct;
            ct += <i64>load<i32>(next, 8);
            next += load<u32>(next, 12);
          }
        }
        if (<i64>(outcome ^ state) < 0) {
          const v = w >> s;
          const entry = <u64>load<u8>(<usize>((v & 0x252) | ((v >> 25) & 0x129)), SIGN_CODING);
          const context = <usize>(entry & 0xf8);
          const state = load<u64>(context, CONTEXTS);
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
          store<u64>(context, shift === 0 ? state : <i64>outcome < 0 ? less : more, CONTEXTS);
          a <<= shift;
          c <<= shift;
          ct -= shift;
          if (ct < 0) {
            c += load<u64>(next) << -ct;
            ct += <i64>load<i32>(next, 8);
            next += load<u32>(next, 12);
            if (ct < 0) {
              c += load<u64>(next) << -ct;
              ct += <i64>load<i32>(next, 8);
              next += load<u32>(next, 12);
            }
          }
          const negative = ((state ^ outcome) >> 63) ^ (entry & 1);
          tellNeighbours(column, line, (((<u64>1) << SIGNIFICANT) | (negative << NEGATIVE)) << s, s);
          store<u32>(data + <usize>(place << 2), value | ((<u32>negative) << 31));
          significant |= one;
          todo |= laterNeighbours(place, s) & ~significant & inside;
        }
      }
      store<u64>(group, significant);
      store<u64>(group, visited, 8);
      group += GROUP;
      data += 256;
      flags += 128;
    }
    group += 2 * GROUP;
    stripeData += width * 16;
    stripeFlags += line;
  }
  rest(a, c, <i32>ct, next);
}
