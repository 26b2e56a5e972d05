/**
 * One level of the reversible inverse transformation (ITU-T T.800 F.3, F.3.8.2): four sub-bands, each line after line without gaps, give `width` × `height` numbers.
 * `oddX`, `oddY`: 1 where the region begins at an odd coordinate. `spare`: memory for one line and 8 numbers more.
 */
export function composeLevel(
  low: usize,
  across: usize,
  down: usize,
  both: usize,
  to: usize,
  width: usize,
  height: usize,
  oddX: usize,
  oddY: usize,
  spare: usize,
): void {
  const lows = (width + 1 - oddX) >> 1;
  const highs = width - lows;
  let evens = low;
  let odds = down;
  let evenHighs = across;
  let oddHighs = both;
  for (let y: usize = 0; y < height; y += 1) {
    const line = to + y * width * 4;
    if (((y + oddY) & 1) === 0) {
      composeLine(evens, evenHighs, line, lows, highs, oddX, spare);
      evens += lows * 4;
      evenHighs += highs * 4;
    } else {
      composeLine(odds, oddHighs, line, lows, highs, oddX, spare);
      odds += lows * 4;
      oddHighs += highs * 4;
    }
  }
  composeColumns(to, width, height, oddY);
}

/** F.3.6: a single sample at an odd place is halved; the ends continue as if mirrored (F.3.7). */
function composeLine(
  low: usize,
  high: usize,
  to: usize,
  lows: usize,
  highs: usize,
  odd: usize,
  spare: usize,
): void {
  if (lows + highs === 1) {
    store<i32>(to, odd === 1 ? load<i32>(high) / 2 : load<i32>(low));
    return;
  }
  // The highs with one mirrored at either end: those beside even n are at n and n + 1.
  const beside = spare + 16;
  memory.copy(beside + 4 * (1 - odd), high, highs * 4);
  if (odd === 0) store<i32>(beside, load<i32>(high));
  store<i32>(beside + 4 * (1 - odd + highs), load<i32>(high + 4 * (highs - 1)));
  // Each even number takes the place of the high before it, which is not needed again. With an odd start the first high stays in `high`.
  const two = i32x4.splat(2);
  let n: usize = 0;
  for (; n + 4 <= lows; n += 4) {
    const at = beside + n * 4;
    const sum = v128.add<i32>(v128.add<i32>(v128.load(at), v128.load(at, 4)), two);
    v128.store(at, v128.sub<i32>(v128.load(low + n * 4), v128.shr<i32>(sum, 2)));
  }
  for (; n < lows; n += 1) {
    const at = beside + n * 4;
    store<i32>(at, load<i32>(low + n * 4) - ((load<i32>(at) + load<i32>(at, 4) + 2) >> 2));
  }
  store<i32>(beside + lows * 4, load<i32>(beside + (lows - 1) * 4));
  if (odd === 1) store<i32>(beside - 4, load<i32>(beside));
  interleave(beside, high, to, lows, highs, odd);
}

function interleave(even: usize, high: usize, to: usize, lows: usize, highs: usize, odd: usize): void {
  // The even numbers on either side of odd n.
  const before = even - 4 * odd;
  let n: usize = 0;
  const pairs = min(lows, highs);
  const first = even;
  for (; n + 4 <= pairs; n += 4) {
    const at = before + n * 4;
    const middle = v128.shr<i32>(v128.add<i32>(v128.load(at), v128.load(at, 4)), 1);
    const odds = v128.add<i32>(v128.load(high + n * 4), middle);
    const evens = v128.load(first + n * 4);
    const one = odd === 1 ? odds : evens;
    const other = odd === 1 ? evens : odds;
    v128.store(to + n * 8, v128.shuffle<i32>(one, other, 0, 4, 1, 5));
    v128.store(to + n * 8, v128.shuffle<i32>(one, other, 2, 6, 3, 7), 16);
  }
  for (let m = n; m < highs; m += 1) {
    const at = before + m * 4;
    const middle = (load<i32>(at) + load<i32>(at, 4)) >> 1;
    store<i32>(to + (2 * m + 1 - odd) * 4, load<i32>(high + m * 4) + middle);
  }
  for (; n < lows; n += 1) store<i32>(to + (2 * n + odd) * 4, load<i32>(first + n * 4));
}

/** The same from line to line, in place: the even ones first, each odd one as soon as both beside it are done. */
function composeColumns(to: usize, width: usize, height: usize, odd: usize): void {
  const bytes = width * 4;
  if (height === 1) {
    if (odd === 1) halve(to, width);
    return;
  }
  const last = height - 1;
  for (let y: usize = odd; y < height + 1; y += 2) {
    const line = to + y * bytes;
    if (y <= last) {
      const above = y === 0 ? line + bytes : line - bytes;
      const below = y === last ? line - bytes : line + bytes;
      liftEven(line, above, below, width);
    }
    if (y > 0) {
      const above = y === 1 ? line : line - 2 * bytes;
      const below = y > last ? above : line;
      liftOdd(line - bytes, above, below, width);
    }
  }
}

function liftEven(line: usize, above: usize, below: usize, width: usize): void {
  const two = i32x4.splat(2);
  let at: usize = 0;
  const whole = (width & ~3) * 4;
  for (; at < whole; at += 16) {
    const sum = v128.add<i32>(v128.add<i32>(v128.load(above + at), v128.load(below + at)), two);
    v128.store(line + at, v128.sub<i32>(v128.load(line + at), v128.shr<i32>(sum, 2)));
  }
  for (; at < width * 4; at += 4) {
    const sum = load<i32>(above + at) + load<i32>(below + at) + 2;
    store<i32>(line + at, load<i32>(line + at) - (sum >> 2));
  }
}

function liftOdd(line: usize, above: usize, below: usize, width: usize): void {
  let at: usize = 0;
  const whole = (width & ~3) * 4;
  for (; at < whole; at += 16) {
    const middle = v128.shr<i32>(v128.add<i32>(v128.load(above + at), v128.load(below + at)), 1);
    v128.store(line + at, v128.add<i32>(v128.load(line + at), middle));
  }
  for (; at < width * 4; at += 4) {
    const middle = (load<i32>(above + at) + load<i32>(below + at)) >> 1;
    store<i32>(line + at, load<i32>(line + at) + middle);
  }
}

function halve(line: usize, width: usize): void {
  for (let at: usize = 0; at < width * 4; at += 4) store<i32>(line + at, load<i32>(line + at) / 2);
}
