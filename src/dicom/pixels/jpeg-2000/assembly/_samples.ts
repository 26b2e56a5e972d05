/** The reversible colour transformation undone in place (ITU-T T.800 G.2.2), `count` samples each. */
export function undoColours(first: usize, second: usize, third: usize, count: usize): void {
  for (let at: usize = 0; at < count * 4; at += 4) {
    const blue = load<i32>(second + at);
    const red = load<i32>(third + at);
    const green = load<i32>(first + at) - ((blue + red) >> 2);
    store<i32>(first + at, red + green);
    store<i32>(second + at, green);
    store<i32>(third + at, blue + green);
  }
}

/**
 * Level shift (G.1.2) and limits: `count` numbers at `from` become samples of `bytes` bytes, `step` bytes apart.
 */
export function putSamples(
  from: usize,
  to: usize,
  count: usize,
  bytes: usize,
  step: usize,
  shift: i32,
  least: i32,
  most: i32,
): void {
  let target = to;
  for (let at: usize = 0; at < count * 4; at += 4, target += step) {
    const value = min(most, max(least, load<i32>(from + at) + shift));
    if (bytes === 1) store<u8>(target, <u8>value);
    else store<u16>(target, <u16>value);
  }
}
