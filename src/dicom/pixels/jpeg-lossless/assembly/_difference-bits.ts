/** Bits of the entropy-coded part (ITU-T T.81 F.1.2.3) and the differences that they stand for (H.1.2.2). */

/** Where things lie: below `FRAME` the tables, from there on what the caller lays out. */
export const TABLES: usize = 1024;
/** Of each table first the next 13 bits → `(difference << 5) | bits`, then the next 16 bits → `(length << 8) | category`; 0 where there is nothing. */
const WHOLE_BITS: u64 = 13;
export const LOOKUP: usize = 32768;
export const TABLE_BYTES: usize = LOOKUP + 131072;
/** A difference has at most 16 bits of code and 15 of value. */
const BITS_WANTED: i32 = 32;

/** The next bits, first the highest; `count` of them are there. Behind the last ones follow zeros, `beyond` of them. */
let bits: u64 = 0;
let count: i32 = 0;
let beyond: i32 = 0;
let next: usize = 0;
let end: usize = 0;

export function openBits(from: usize, to: usize): void {
  next = from;
  end = to;
  forget();
}

/** Where the reader stands: never behind the next marker. */
export function position(): usize {
  return next;
}

/** Whether more was read than there is. */
export function overrun(): bool {
  return count < beyond;
}

/** Moves behind the next restart marker and forgets the bits before it; false where another marker or the end is first. */
export function restart(): bool {
  forget();
  for (; next + 1 < end; next += 1) {
    if (load<u8>(next) !== 0xff) continue;
    const marker = load<u8>(next, 1);
    if (marker >= 0xd0 && marker <= 0xd7) {
      next += 2;
      return true;
    }
    if (marker !== 0 && marker !== 0xff) return false;
  }
  return false;
}

/**
 * `length` differences coded with one table, four bytes each; false at a code that is none. Each is added to the bits `keep` of what came of the one before it, or of `left`: with all
 * of them kept, differences become values, with none they stay what they are. Everything stands in local variables meanwhile.
 */
export function readDifferences(table: usize, to: usize, length: usize, left: i32, keep: i32): bool {
  let b = bits;
  let c = count;
  let at = next;
  const stop = to + length * 4;
  for (let target = to; target < stop; target += 4) {
    if (c < BITS_WANTED) {
      const word = load<u32>(at);
      if (((~word - 0x01010101) & word & 0x80808080) === 0) {
        b |= (<u64>bswap(word)) << (32 - c);
        c += 32;
        at += 4;
      } else {
        rest(b, c, at);
        fill();
        b = bits;
        c = count;
        at = next;
      }
    }
    const entry = load<i32>(table + ((<usize>(b >> (64 - WHOLE_BITS))) << 2));
    if (entry !== 0) {
      const taken = entry & 31;
      b <<= taken;
      c -= taken;
      left = (left & keep) + (entry >> 5);
    } else {
      rest(b, c, at);
      const difference = readLong(table);
      if (difference === NONE) return false;
      b = bits;
      c = count;
      left = (left & keep) + difference;
    }
    store<i32>(target, left);
  }
  rest(b, c, at);
  return true;
}

/** No difference: they have 17 bits. */
const NONE: i32 = i32.MIN_VALUE;

/** What does not fit into the first table: a code and the bits of its value (F.2.2.1, EXTEND). */
function readLong(table: usize): i32 {
  const entry = <i32>load<u16>(table + LOOKUP + ((<usize>(bits >> 48)) << 1));
  const size = entry & 0xff;
  if (entry === 0 || size > 16) return NONE;
  take(entry >> 8);
  if (size === 16) return 32768;
  if (size === 0) return 0;
  const value = <i32>(bits >> (64 - size));
  take(size);
  return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

function take(length: i32): void {
  bits <<= length;
  count -= length;
}

/** Byte by byte, where a byte of ones has a zero stuffed behind it (B.1.1.5) or is a marker's first. */
function fill(): void {
  while (count < BITS_WANTED) {
    let byte: u64 = 0;
    if (next >= end || (load<u8>(next) === 0xff && (next + 1 === end || load<u8>(next, 1) !== 0)))
      beyond += 8;
    else {
      byte = load<u8>(next);
      next += byte === 0xff ? 2 : 1;
    }
    bits |= byte << (56 - count);
    count += 8;
  }
}

function forget(): void {
  bits = 0;
  count = 0;
  beyond = 0;
}

function rest(b: u64, c: i32, at: usize): void {
  bits = b;
  count = c;
  next = at;
}
