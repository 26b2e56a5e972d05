import { CODE } from './_block-memory';

/**
 * The arithmetic decoder (ITU-T T.800 Annex C). Each pass has it written out where it decides, because only local variables are fast and no function can
 * change those of its caller. `above` is what the more probable symbol has of the interval and `beyond` the code within it: where that is below zero the code is
 * in the lower part, Qe, and that part is the less probable symbol's unless it is the larger (the conditional exchange of C.3.2). So the sign of `outcome` says
 * that the less probable symbol came, and that of `outcome ^ state` what was decided. There is no branch on what came: in noise none can be foretold.
 *
 * Between passes the decoder rests here; within one it stands in local variables. The interval (A) is in bits 47 to 62, Chigh of C in line with it and more of the code below.
 */
export let interval: u64 = 0;
export let code: u64 = 0;
/** Bits of the code below bit 47 of C. */
export let left: i32 = 0;

/** Bits that `moreCode` gave. */
export let taken: i32 = 0;

let next: usize = 0;
let end: usize = 0;
let before: u32 = 0;

/** INITDEC (Figure C.20) for the `length` bytes at CODE: nothing is taken yet, and 15 bits of Chigh are wanted. */
export function openCode(length: usize): void {
  next = CODE;
  end = CODE + length;
  before = 0;
  interval = (<u64>0x8000) << 47;
  code = 0;
  left = -15;
  while (left < 0) {
    code += moreCode(left);
    left += taken;
  }
}

/**
 * BYTEIN (Figure C.19) for up to four bytes at once, in line with a C that has `bits` (below zero) bits of code below bit 47. A byte after one of ones has seven bits and a
 * carry; a carry is not added before its time, so such a byte is the first or waits. After the end, or a marker, follow ones.
 */
export function moreCode(bits: i32): u64 {
  let value: u64 = 0;
  let count: i32 = 0;
  while (count < 25) {
    const byte: u32 = next < end ? load<u8>(next) : 0xff;
    if (before === 0xff && byte > 0x7f) {
      if (count > 0) break;
      if (byte > 0x8f) {
        taken = 32;
        return (<u64>u32.MAX_VALUE) << (15 - bits);
      }
    }
    const stuffed = before === 0xff;
    value = (value << (stuffed ? 7 : 8)) + byte;
    count += stuffed ? 7 : 8;
    before = byte;
    next += 1;
  }
  taken = count;
  return value << (47 - bits - count);
}

export function rest(a: u64, c: u64, bits: i32): void {
  interval = a;
  code = c;
  left = bits;
}
