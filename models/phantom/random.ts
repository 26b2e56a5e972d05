/** A small repeatable source of numbers: the same seed gives the same phantom on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole 32-bit number. */
  bits(): number;
  /** Uniform in [from, to). */
  between(from: number, to: number): number;
}

/** xoshiro128** (Blackman and Vigna 2018), its state filled by splitmix32 from the seed. */
export function createRandom(seed: number): Random {
  let fill = seed | 0;
  const splitmix = () => {
    fill = (fill + 0x9e3779b9) | 0;
    let mixed = fill ^ (fill >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let d = splitmix();
  const bits = () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result >>> 0;
  };
  const next = () => bits() / 4294967296;
  return { bits, next, between: (from, to) => from + (to - from) * next() };
}

/** Normal deviates by index: entry i is the quantile of (i + 0.5) / 65536, so that 16 random bits give one deviate. */
export function normalTable(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, index) => normalQuantile((index + 0.5) / 65536));
  return table;
}

/** Made when first needed, for it takes about 100 ms. */
let table: Float32Array | undefined;

/** Quantile of the standard normal distribution by bisection. */
function normalQuantile(p: number): number {
  let low = -6;
  let high = 6;
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Abramowitz and Stegun 26.2.17, error below 7.5e-8. */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const density = 0.3989422804014327 * Math.exp((-x * x) / 2);
  const tail =
    density *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x > 0 ? 1 - tail : tail;
}
