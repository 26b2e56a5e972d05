/**
 * Inverse DCT of an 8 × 8 block (ITU-T T.81 A.3.3) by the factorization of Loeffler, Ligtenberg and Moschytz (ICASSP 1989): eleven
 * multiplications per line. In whole numbers of 13 fraction bits with one bit kept between the passes, which is the accuracy that
 * the reference decoders use for 12 bits, so that the values come out the same.
 */
const FRACTION_BITS = 13;
const PASS_BITS = 1;
const fixed = (value: number) => Math.round(value * 2 ** FRACTION_BITS);
const F_0_298 = fixed(0.298631336);
const F_0_390 = fixed(0.390180644);
const F_0_541 = fixed(0.5411961);
const F_0_765 = fixed(0.765366865);
const F_0_899 = fixed(0.899976223);
const F_1_175 = fixed(1.175875602);
const F_1_501 = fixed(1.50132111);
const F_1_847 = fixed(1.847759065);
const F_1_961 = fixed(1.96157056);
const F_2_053 = fixed(2.053119869);
const F_2_562 = fixed(2.562915447);
const F_3_072 = fixed(3.072711026);

/** In place: dequantized coefficients in natural order become samples around 0. */
export function inverseDct(block: Int32Array): void {
  for (let column = 0; column < 8; column += 1) transform(block, column, 8, FRACTION_BITS - PASS_BITS);
  for (let row = 0; row < 8; row += 1) transform(block, row * 8, 1, FRACTION_BITS + PASS_BITS + 3);
}

function transform(block: Int32Array, at: number, step: number, shift: number): void {
  const c0 = block[at]!;
  const c1 = block[at + step]!;
  const c2 = block[at + 2 * step]!;
  const c3 = block[at + 3 * step]!;
  const c4 = block[at + 4 * step]!;
  const c5 = block[at + 5 * step]!;
  const c6 = block[at + 6 * step]!;
  const c7 = block[at + 7 * step]!;
  const turn = Math.imul(c2 + c6, F_0_541);
  const even2 = turn - Math.imul(c6, F_1_847);
  const even3 = turn + Math.imul(c2, F_0_765);
  const sum = (c0 + c4) << FRACTION_BITS;
  const difference = (c0 - c4) << FRACTION_BITS;
  const half = 1 << (shift - 1);
  const e0 = sum + even3 + half;
  const e3 = sum - even3 + half;
  const e1 = difference + even2 + half;
  const e2 = difference - even2 + half;
  const z5 = Math.imul(c7 + c3 + c5 + c1, F_1_175);
  const z1 = -Math.imul(c7 + c1, F_0_899);
  const z2 = -Math.imul(c5 + c3, F_2_562);
  const z3 = z5 - Math.imul(c7 + c3, F_1_961);
  const z4 = z5 - Math.imul(c5 + c1, F_0_390);
  const o0 = Math.imul(c7, F_0_298) + z1 + z3;
  const o1 = Math.imul(c5, F_2_053) + z2 + z4;
  const o2 = Math.imul(c3, F_3_072) + z2 + z3;
  const o3 = Math.imul(c1, F_1_501) + z1 + z4;
  block[at] = (e0 + o3) >> shift;
  block[at + 7 * step] = (e0 - o3) >> shift;
  block[at + step] = (e1 + o2) >> shift;
  block[at + 6 * step] = (e1 - o2) >> shift;
  block[at + 2 * step] = (e2 + o1) >> shift;
  block[at + 5 * step] = (e2 - o1) >> shift;
  block[at + 3 * step] = (e3 + o0) >> shift;
  block[at + 4 * step] = (e3 - o0) >> shift;
}
