/** Prediction of lossless JPEG (ITU-T T.81 H.1.2.1): lines of differences, four bytes each, become lines of values modulo 2^16 in place. */

/** The first line is predicted from the left. */
export function addFromLeft(line: usize, bytes: usize, origin: i32): void {
  let left = origin;
  for (let at = line; at < line + bytes; at += 4) {
    left = (left + load<i32>(at)) & 0xffff;
    store<i32>(at, left);
  }
}

/** From the left (a), above (b), above left (c); the first column is predicted from above. A loop of its own for each predictor. */
export function addPrediction(predictor: i32, line: usize, above: usize, bytes: usize): void {
  let a = (load<i32>(line) + load<i32>(above)) & 0xffff;
  store<i32>(line, a);
  if (predictor === 1) {
    for (let at: usize = 4; at < bytes; at += 4) {
      a = (a + load<i32>(line + at)) & 0xffff;
      store<i32>(line + at, a);
    }
  } else if (predictor === 2) {
    for (let at: usize = 4; at < bytes; at += 4) put(line + at, load<i32>(above + at));
  } else if (predictor === 3) {
    for (let at: usize = 4; at < bytes; at += 4) put(line + at, load<i32>(above + at - 4));
  } else if (predictor === 4) {
    for (let at: usize = 4; at < bytes; at += 4) {
      a = put(line + at, a + load<i32>(above + at) - load<i32>(above + at - 4));
    }
  } else if (predictor === 5) {
    for (let at: usize = 4; at < bytes; at += 4) {
      a = put(line + at, a + ((load<i32>(above + at) - load<i32>(above + at - 4)) >> 1));
    }
  } else if (predictor === 6) {
    for (let at: usize = 4; at < bytes; at += 4) {
      a = put(line + at, load<i32>(above + at) + ((a - load<i32>(above + at - 4)) >> 1));
    }
  } else {
    for (let at: usize = 4; at < bytes; at += 4) a = put(line + at, (a + load<i32>(above + at)) >> 1);
  }
}

function put(at: usize, predicted: i32): i32 {
  const value = (predicted + load<i32>(at)) & 0xffff;
  store<i32>(at, value);
  return value;
}

/** A line to its samples of one or two bytes, `step` bytes apart; `low` is the point transform (A.4). */
export function putLine(line: usize, count: usize, to: usize, bytes: usize, step: usize, low: i32): void {
  const stop = line + count * 4;
  let target = to;
  let at = line;
  if (bytes === 1) {
    for (; at < stop; at += 4, target += step) store<u8>(target, <u8>(load<i32>(at) << low));
  } else {
    if (step === 2) {
      for (; at + 32 <= stop; at += 32, target += 16) {
        const one = v128.and(v128.shl<i32>(v128.load(at), low), i32x4.splat(0xffff));
        const other = v128.and(v128.shl<i32>(v128.load(at, 16), low), i32x4.splat(0xffff));
        v128.store(target, i16x8.narrow_i32x4_u(one, other));
      }
    }
    for (; at < stop; at += 4, target += step) store<u16>(target, <u16>(load<i32>(at) << low));
  }
}
