import { CODE, PIECES } from './_block-memory';

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

/** Where the next piece of code stands, see `openCode`. */
export let piece: usize = 0;

/**
 * INITDEC (Figure C.20) for the `length` bytes at CODE: nothing is taken yet, and 15 bits of Chigh are wanted. The code is laid out in pieces of up to 32 bits, so that a pass
 * takes the next one with a shift and a sum: 16 bytes each, with the bits in line with a C that has none left below bit 47, their number, and how far it is to the next piece.
 *
 * BYTEIN (Figure C.19) for up to four bytes at once: a byte after one of ones has seven bits and a carry; a carry is not added before its time, so such a byte is the first of a piece.
 * After the end, or a marker, follow ones. Any two pieces have more bits than one decision takes, 15.
 */
export function openCode(length: usize): void {
  layOutPieces(length);
  piece = PIECES;
  interval = (<u64>0x8000) << 47;
  code = 0;
  left = -15;
  while (left < 0) {
    code += load<u64>(piece) << -left;
    left += load<i32>(piece, 8);
    piece += load<u32>(piece, 12);
  }
}

function layOutPieces(length: usize): void {
  const end = CODE + length;
  let next = CODE;
  let to = PIECES;
  let before: u32 = 0;
  while (next < end) {
    const word = load<u32>(next);
    if (before !== 0xff && next + 4 <= end && ((~word - 0x01010101) & word & 0x80808080) === 0) {
      put(to, <u64>bswap(word), 32, 16);
      before = 0;
      next += 4;
      to += 16;
      continue;
    }
    let value: u64 = 0;
    let count: i32 = 0;
    while (count < 25 && next < end) {
      const byte: u32 = load<u8>(next);
      const stuffed = before === 0xff;
      if (stuffed && byte > 0x7f && (count > 0 || byte > 0x8f)) break;
      value = (value << (stuffed ? 7 : 8)) + byte;
      count += stuffed ? 7 : 8;
      before = byte;
      next += 1;
    }
    // A marker: it is the end.
    if (count === 0) break;
    put(to, value, count, 16);
    to += 16;
  }
  put(to, u32.MAX_VALUE, 32, 0);
}

function put(to: usize, value: u64, count: i32, step: u32): void {
  store<u64>(to, value << (47 - count));
  store<i32>(to, count, 8);
  store<u32>(to, step, 12);
}

export function rest(a: u64, c: u64, bits: i32, at: usize): void {
  interval = a;
  code = c;
  left = bits;
  piece = at;
}
