/**
 * Separable resampling over memory that the caller lays out. Every sum adds up one tap after the other in double precision, so a result is the same to the last
 * bit whatever runs beside it; two sums go side by side in one register.
 */

/** The first address that is free for data. */
export function base(): usize {
  return __heap_base;
}

/** Makes the memory at least this many bytes long. False: there is no more. */
export function reserve(bytes: usize): bool {
  const missing = <i32>((bytes + 0xffff) >>> 16) - memory.size();
  return missing <= 0 || memory.grow(missing) >= 0;
}

/** Lines done at once: their values lie side by side. */
const LINES = 4;
/** Bytes of four values side by side. */
const STEP: usize = 32;

/**
 * Along `rows` lines of `line` cells each. `kind` says what a cell is: 1 or 2 bytes to be looked up in a table of f32, 4: an f32 itself. `spread` has
 * room for 4 lines of f64. The target has f32. Taps of `length` target positions: first cell and count of each (i32), then `size` weights (f64) for each.
 */
export function convolveRows(
  kind: i32,
  cells: usize,
  table: usize,
  spread: usize,
  target: usize,
  rows: i32,
  line: i32,
  samples: i32,
  length: i32,
  size: i32,
  taps: usize,
): void {
  for (let row = 0; row < rows; row += LINES) {
    // Behind the last line the last one again, which is not kept.
    const last = rows - 1 - row;
    const a = cells + <usize>row * <usize>(line * kind);
    const b = a + <usize>min(1, last) * <usize>(line * kind);
    const c = a + <usize>min(2, last) * <usize>(line * kind);
    const d = a + <usize>min(3, last) * <usize>(line * kind);
    if (kind === 1) spread8(a, b, c, d, table, spread, line);
    else if (kind === 2) spread16(a, b, c, d, table, spread, line);
    else spread32(a, b, c, d, spread, line);
    const to = target + ((<usize>row * <usize>(length * samples)) << 2);
    convolveLines(spread, to, last, samples, length, size, taps);
  }
}

function spread8(a: usize, b: usize, c: usize, d: usize, table: usize, spread: usize, line: i32): void {
  let to = spread;
  for (let i: usize = 0; i < <usize>line; i++, to += STEP) {
    const low = v128.load32_zero(table + ((<usize>load<u8>(a + i)) << 2));
    v128.store(
      to,
      f64x2.promote_low_f32x4(v128.load32_lane(table + ((<usize>load<u8>(b + i)) << 2), low, 1)),
    );
    const high = v128.load32_zero(table + ((<usize>load<u8>(c + i)) << 2));
    v128.store(
      to,
      f64x2.promote_low_f32x4(v128.load32_lane(table + ((<usize>load<u8>(d + i)) << 2), high, 1)),
      16,
    );
  }
}

function spread16(a: usize, b: usize, c: usize, d: usize, table: usize, spread: usize, line: i32): void {
  let to = spread;
  for (let i: usize = 0; i < <usize>line; i++, to += STEP) {
    const low = v128.load32_zero(table + ((<usize>load<u16>(a + (i << 1))) << 2));
    v128.store(
      to,
      f64x2.promote_low_f32x4(v128.load32_lane(table + ((<usize>load<u16>(b + (i << 1))) << 2), low, 1)),
    );
    const high = v128.load32_zero(table + ((<usize>load<u16>(c + (i << 1))) << 2));
    v128.store(
      to,
      f64x2.promote_low_f32x4(v128.load32_lane(table + ((<usize>load<u16>(d + (i << 1))) << 2), high, 1)),
      16,
    );
  }
}

function spread32(a: usize, b: usize, c: usize, d: usize, spread: usize, line: i32): void {
  let to = spread;
  for (let i: usize = 0; i < <usize>line; i++, to += STEP) {
    const low = v128.load32_zero(a + (i << 2));
    v128.store(to, f64x2.promote_low_f32x4(v128.load32_lane(b + (i << 2), low, 1)));
    const high = v128.load32_zero(c + (i << 2));
    v128.store(to, f64x2.promote_low_f32x4(v128.load32_lane(d + (i << 2), high, 1)), 16);
  }
}

function convolveLines(
  spread: usize,
  target: usize,
  last: i32,
  samples: i32,
  length: i32,
  size: i32,
  taps: usize,
): void {
  const step = <usize>samples * STEP;
  const line = (<usize>(length * samples)) << 2;
  let to = target;
  for (let x: usize = 0; x < <usize>length; x++) {
    const tap = taps + (x << 3);
    const start = taps + ((<usize>length + x * <usize>size) << 3);
    const end = start + ((<usize>load<i32>(tap, 4)) << 3);
    const begin = spread + <usize>load<i32>(tap) * step;
    for (let sample: usize = 0; sample < <usize>samples; sample++, to += 4) {
      let from = begin + sample * STEP;
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (let k = start; k < end; k += 8, from += step) {
        const factor = v128.load64_splat(k);
        low = f64x2.add(low, f64x2.mul(v128.load(from), factor));
        high = f64x2.add(high, f64x2.mul(v128.load(from, 16), factor));
      }
      store<f32>(to, <f32>f64x2.extract_lane(low, 0));
      if (last > 0) store<f32>(to + line, <f32>f64x2.extract_lane(low, 1));
      if (last > 1) store<f32>(to + line * 2, <f32>f64x2.extract_lane(high, 0));
      if (last > 2) store<f32>(to + line * 3, <f32>f64x2.extract_lane(high, 1));
    }
  }
}

/**
 * Down the columns, with the same taps: lines of `line` values (f32) each, and room for three values more behind the last line of source and target.
 */
export function convolveColumns(
  source: usize,
  target: usize,
  line: i32,
  length: i32,
  size: i32,
  taps: usize,
): void {
  const step = (<usize>line) << 2;
  for (let y: usize = 0; y < <usize>length; y++) {
    const tap = taps + (y << 3);
    const start = taps + ((<usize>length + y * <usize>size) << 3);
    const end = start + ((<usize>load<i32>(tap, 4)) << 3);
    const begin = source + <usize>load<i32>(tap) * step;
    const to = target + y * step;
    // Four at a time: those behind the end of a line are written once more with the next line.
    for (let at: usize = 0; at < step; at += 16) {
      let from = begin + at;
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (let k = start; k < end; k += 8, from += step) {
        const factor = v128.load64_splat(k);
        low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(from)), factor));
        high = f64x2.add(high, f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(from, 8)), factor));
      }
      v128.store64_lane(to + at, v128.demote_zero<f64>(low), 0);
      v128.store64_lane(to + at, v128.demote_zero<f64>(high), 0, 8);
    }
  }
}
