import { resetContexts } from './_arithmetic-states';
import { COEFFICIENTS, FLAGS, GROUPS, ZERO_CODING } from './_block-memory';
import { cleanupPass } from './_cleanup-pass';
import { openCode } from './_code-bits';
import { refinementPass } from './_refinement-pass';
import { significancePass } from './_significance-pass';

/**
 * One code-block (Annex D) of `passes` coding passes from bit-plane `planes - 1` down, whose `length` bytes stand at CODE. `band`: 0 for LL and LH, 1 for HL, 2 for HH.
 * The coefficients go to `to`, lines `stride` bytes apart.
 */
export function decodeBlock(
  length: usize,
  width: usize,
  height: usize,
  planes: i32,
  passes: i32,
  band: usize,
  to: usize,
  stride: usize,
): void {
  const stripes = (height + 3) >> 2;
  memory.fill(FLAGS, 0, (width + 2) * (stripes + 2) * 8);
  memory.fill(GROUPS, 0, (((width + 15) >> 4) + 2) * (stripes + 2) * 32);
  memory.fill(COEFFICIENTS, 0, width * stripes * 16);
  resetContexts();
  openCode(length);
  const zeroCoding = ZERO_CODING + band * 2048;
  // Values have one bit more than the coefficients: the half that stands for what was not coded.
  let plane = planes - 1;
  let kind = 2;
  for (let pass = 0; pass < passes; pass += 1) {
    const value = (<u32>3) << plane;
    if (kind === 0) significancePass(width, height, value, zeroCoding);
    else if (kind === 1) refinementPass(width, height, (<u32>2) << plane);
    else {
      cleanupPass(width, height, value, zeroCoding);
      plane -= 1;
    }
    kind = kind === 2 ? 0 : kind + 1;
  }
  putBlock(width, height, to, stride);
}

/** From stripes of columns to lines, from sign and doubled magnitude to numbers. */
function putBlock(width: usize, height: usize, to: usize, stride: usize): void {
  let stripe = COEFFICIENTS;
  for (let y: usize = 0; y < height; y += 4, stripe += width * 16) {
    const line = to + y * stride;
    const rows = min<usize>(4, height - y);
    let x: usize = 0;
    if (rows === 4) {
      for (; x + 4 <= width; x += 4) putSquare(stripe + x * 16, line + x * 4, stride);
    }
    for (; x < width; x += 1) {
      for (let row: usize = 0; row < rows; row += 1) {
        const value = load<i32>(stripe + x * 16 + row * 4);
        const size = (value & 0x7fffffff) >> 1;
        store<i32>(line + row * stride + x * 4, value < 0 ? -size : size);
      }
    }
  }
}

function putSquare(from: usize, to: usize, stride: usize): void {
  const a = numbers(v128.load(from));
  const b = numbers(v128.load(from, 16));
  const c = numbers(v128.load(from, 32));
  const d = numbers(v128.load(from, 48));
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2));
  v128.store(to + stride, v128.shuffle<i64>(ab, cd, 1, 3));
  v128.store(to + 2 * stride, v128.shuffle<i64>(ab2, cd2, 0, 2));
  v128.store(to + 3 * stride, v128.shuffle<i64>(ab2, cd2, 1, 3));
}

function numbers(value: v128): v128 {
  const sign = v128.shr<i32>(value, 31);
  const size = v128.shr<u32>(v128.and(value, i32x4.splat(0x7fffffff)), 1);
  return v128.sub<i32>(v128.xor(size, sign), sign);
}
