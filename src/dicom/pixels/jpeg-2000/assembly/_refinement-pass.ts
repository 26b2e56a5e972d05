import { COEFFICIENTS, CONTEXTS, GROUPS, QE, REFINEMENT_CONTEXTS } from './_block-memory';
import { code, interval, left, piece, rest } from './_code-bits';
import { besideSignificant, GROUP } from './_groups';

/**
 * Magnitude refinement (D.3.3) of what was significant before this bit-plane, whose one is `one`. No decision changes what is to be refined, nor its context.
 */
export function refinementPass(width: usize, height: usize, one: u32): void {
  let a = interval;
  let c = code;
  let ct = <i64>left;
  let next = piece;
  const half = one >> 1;
  const groups = (width + 15) >> 4;
  const groupLine = (groups + 2) * GROUP;
  let group = GROUPS + groupLine + GROUP;
  let stripeData = COEFFICIENTS;
  for (let rows = <i32>height; rows > 0; rows -= 4) {
    let data = stripeData;
    for (let columns = <i32>width; columns > 0; columns -= 16) {
      let todo = load<u64>(group) & ~load<u64>(group, 8);
      const again = load<u64>(group, 16);
      const beside = besideSignificant(group, groupLine);
      store<u64>(group, again | todo, 16);
      while (todo !== 0) {
        const s = ctz(todo);
        todo &= todo - 1;
        const fresh: usize = (<usize>((beside >> s) & 1)) << 3;
        const context = REFINEMENT_CONTEXTS - CONTEXTS + (((again >> s) & 1) !== 0 ? 16 : fresh);
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
        const place = data + ((<usize>s) << 2);
        // The half that stands for the bits below moves down: up by it for a one, down for a zero.
        store<u32>(place, load<u32>(place) + (<i64>(outcome ^ state) < 0 ? half : 0 - half));
      }
      group += GROUP;
      data += 256;
    }
    group += 2 * GROUP;
    stripeData += width * 16;
  }
  rest(a, c, <i32>ct, next);
}
