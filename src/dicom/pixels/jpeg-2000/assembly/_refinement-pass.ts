import {
  CODED,
  COEFFICIENTS,
  FLAGS,
  QE,
  REFINED,
  REFINEMENT_CONTEXTS,
  ROWS,
  SIGNIFICANT,
} from './_block-memory';
import { code, interval, left, moreCode, rest, taken } from './_code-bits';

/**
 * Magnitude refinement (D.3.3) of what was significant before this bit-plane, whose one is `one`. No decision changes what is to be refined, nor its context, so
 * that four columns are taken together.
 */
export function refinementPass(width: usize, height: usize, one: u32): void {
  let a = interval;
  let c = code;
  let ct = left;
  const half = one >> 1;
  let data = COEFFICIENTS;
  let flags = FLAGS + (width + 3) * 8;
  for (let rows = <i32>height; rows > 0; rows -= 4) {
    const stop = data + width * 16;
    for (; data < stop; data += 64) {
      const end = min(flags + 32, flags + ((stop - data) >> 1));
      let todo: u64 = 0;
      let again: u64 = 0;
      let beside: u64 = 0;
      for (let shift: u64 = 0; flags < end; flags += 8, shift += 16) {
        const w = load<u64>(flags);
        const these = (w >> SIGNIFICANT) & ~(w >> CODED) & ROWS;
        const three = w | (w >> 1) | (w >> 2);
        todo |= these << shift;
        again |= ((w >> REFINED) & ROWS) << shift;
        beside |= ((three | (three >> 8) | ((w | (w >> 2)) >> 4)) & ROWS) << shift;
        store<u64>(flags, w | (these << REFINED));
      }
      while (todo !== 0) {
        const s = ctz(todo);
        todo &= todo - 1;
        const fresh: usize = (<usize>((beside >> s) & 1)) << 3;
        const context = REFINEMENT_CONTEXTS + (((again >> s) & 1) !== 0 ? 16 : fresh);
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
        const place = data + <usize>s;
        // The half that stands for the bits below moves down: up by it for a one, down for a zero.
        store<u32>(place, load<u32>(place) + (<i64>(outcome ^ state) < 0 ? half : 0 - half));
      }
    }
    data = stop;
    flags += 16;
  }
  rest(a, c, ct);
}
