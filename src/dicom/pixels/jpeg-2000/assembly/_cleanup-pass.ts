import {
  COEFFICIENTS,
  CONTEXTS,
  FLAGS,
  GROUPS,
  NEGATIVE,
  NEIGHBOURHOOD,
  QE,
  RUN_CONTEXT,
  SIGN_CODING,
  SIGNIFICANT,
  UNIFORM_CONTEXT,
} from './_block-memory';
import { code, interval, left, piece, rest } from './_code-bits';
import { besideSignificant, GROUP, insideOf, laterNeighbours } from './_groups';
import { tellNeighbours } from './_neighbours';

/** Cleanup (D.3.4): all that is left of a bit-plane; four samples in a column that have no significant neighbour begin with a run length. */
export function cleanupPass(width: usize, height: usize, value: u32, zeroCoding: usize): void {
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
      let todo = ~(significant | load<u64>(group, 8)) & insideOf(rows, columns);
      let beside = rows < 4 ? u64.MAX_VALUE : besideSignificant(group, groupLine);
      while (todo !== 0) {
        let place = ctz(todo);
        let known = false;
        if (((beside >> (place & ~3)) & 15) === 0) {
          let run: u64 = 0;
          for (let step = 0; step < 3; step += 1) {
            const context = step === 0 ? RUN_CONTEXT - CONTEXTS : UNIFORM_CONTEXT - CONTEXTS;
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
            run = (run << 1) | ((outcome ^ state) >> 63);
            if (run === 0) break;
          }
          if (run === 0) {
            todo &= ~((<u64>15) << place);
            continue;
          }
          place += run & 3;
          todo &= ~((((<u64>1) << (run & 3)) - 1) << (place & ~3));
          known = true;
        }
        const one = (<u64>1) << place;
        todo ^= one;
        const s = (place & 3) << 2;
        const column = flags + <usize>((place >> 2) << 3);
        const w = load<u64>(column);
        if (!known) {
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
          if (<i64>(outcome ^ state) >= 0) continue;
        }
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
        beside |= laterNeighbours(place, s);
      }
      store<u64>(group, significant);
      store<u64>(group, 0, 8);
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
