import {
  ANY_SIGNIFICANT,
  CODED,
  COEFFICIENTS,
  CONTEXTS,
  FLAGS,
  NEGATIVE,
  NEIGHBOURHOOD,
  QE,
  ROWS,
  RUN_CONTEXT,
  SIGN_CODING,
  SIGNIFICANT,
  UNIFORM_CONTEXT,
} from './_block-memory';
import { code, interval, left, moreCode, rest, taken } from './_code-bits';
import { tellNeighbours } from './_neighbours';

/** Cleanup (D.3.4): all that is left of a bit-plane; four samples in a column that have no significant neighbour begin with a run length. */
export function cleanupPass(width: usize, height: usize, value: u32, zeroCoding: usize): void {
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
      let todo = ~((w >> SIGNIFICANT) | (w >> CODED)) & inside;
      let known = false;
      if ((w & ANY_SIGNIFICANT) === 0 && rows > 3) {
        let run: u64 = 0;
        for (let step = 0; step < 3; step += 1) {
          const context = step === 0 ? RUN_CONTEXT : UNIFORM_CONTEXT;
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
          run = (run << 1) | ((outcome ^ state) >> 63);
          if (run === 0) break;
        }
        if (run === 0) continue;
        todo = (ROWS << ((run & 3) << 2)) & ROWS;
        known = true;
      } else if (todo === 0) {
        store<u64>(flags, w & ~(ROWS << CODED));
        continue;
      }
      do {
        const s = ctz(todo);
        todo &= todo - 1;
        let significant = known;
        known = false;
        if (!significant) {
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
          significant = <i64>(outcome ^ state) < 0;
        }
        if (significant) {
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
        }
      } while (todo !== 0);
      store<u64>(flags, w & ~(ROWS << CODED));
    }
    flags += 16;
  }
  rest(a, c, ct);
}
