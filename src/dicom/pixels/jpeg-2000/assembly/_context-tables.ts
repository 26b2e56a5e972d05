import { SIGN_CODING, ZERO_CODING } from './_block-memory';

/** Context addresses (bytes from the first) by neighbourhood: Table D.1 for the three kinds of sub-band, Tables D.2 and D.3 for signs. */
export function layOutContexts(): void {
  for (let around: u32 = 0; around < 2048; around += 1) {
    const across = bit(around, 4) + bit(around, 6);
    const along = bit(around, 1) + bit(around, 9);
    const diagonal = bit(around, 0) + bit(around, 2) + bit(around, 8) + bit(around, 10);
    store<u8>(ZERO_CODING + around, <u8>(8 * lowPass(across, along, diagonal)));
    store<u8>(ZERO_CODING + 2048 + around, <u8>(8 * lowPass(along, across, diagonal)));
    store<u8>(ZERO_CODING + 4096 + around, <u8>(8 * diagonalPass(across + along, diagonal)));
  }
  // Significant above, left, right, below in bits 1, 4, 6, 9; negative one bit lower each.
  for (let around: u32 = 0; around < 1024; around += 1) {
    const across = held(signAt(around, 4) + signAt(around, 6));
    const along = held(signAt(around, 1) + signAt(around, 9));
    store<u8>(SIGN_CODING + around, signContext(across, along));
  }
}

function lowPass(across: u32, along: u32, diagonal: u32): u32 {
  if (across === 2) return 8;
  if (across === 1) return along > 0 ? 7 : diagonal > 0 ? 6 : 5;
  if (along > 0) return 2 + along;
  return min<u32>(diagonal, 2);
}

function diagonalPass(straight: u32, diagonal: u32): u32 {
  if (diagonal > 2) return 8;
  if (diagonal === 2) return straight > 0 ? 7 : 6;
  return min<u32>(straight, 2) + 3 * diagonal;
}

/** The context's address in the upper bits, in bit 0 whether its decision is to be inverted. */
function signContext(across: i32, along: i32): u8 {
  const inverted = across < 0 || (across === 0 && along < 0);
  const context = inverted ? 9 - (3 * across + along) : 9 + (3 * across + along);
  return <u8>((context << 3) | <i32>inverted);
}

function signAt(around: u32, place: u32): i32 {
  if (bit(around, place) === 0) return 0;
  return bit(around, place - 1) === 0 ? 1 : -1;
}

function held(sum: i32): i32 {
  return max<i32>(-1, min<i32>(1, sum));
}

function bit(word: u32, place: u32): u32 {
  return (word >> place) & 1;
}
