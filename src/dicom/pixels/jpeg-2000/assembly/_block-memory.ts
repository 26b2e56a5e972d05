/**
 * Where things lie in the memory of this program. Below `FRAME` all places are fixed; from there on the caller lays out the coefficients
 * and the picture.
 *
 * A code-block is worked on in stripes of four rows (ITU-T T.800 D.1). Each column of a stripe has one word of flags and four coefficients that lie side
 * by side. Bit `4 * (row + 1) + column` of the word, for the rows -1 to 4 and the columns 0 (left), 1 (its own) and 2 (right): the sample there is
 * significant; 24 bits higher: it is negative.
 * So the neighbourhood of any row is 11 bits, and row and shift are one number (`s`: 0, 4, 8 or 12).
 */
export const SIGNIFICANT: u64 = 5;
export const NEGATIVE: u64 = 29;
export const NEIGHBOURHOOD: u64 = 0x777;

/** 2 × 47 states of the arithmetic decoder, see `_arithmetic-states.ts`. Constant arrays lie before it, from byte 1,024 on. */
export const STATES: usize = 1536;
/** 19 contexts, each a copy of its state. */
export const CONTEXTS: usize = 2304;
/** Context of a neighbourhood, for each kind of sub-band (LL and LH, HL, HH). */
export const ZERO_CODING: usize = 2560;
/** Sign context and what its decision means, for the four neighbours in line. */
export const SIGN_CODING: usize = 8704;
/** Flags, with a column at either side and a stripe above and below: at most 1,026 × 3 words of a block of 1,024 × 4. */
export const FLAGS: usize = 9728;
/** 4,096 coefficients, sign and magnitude. */
export const COEFFICIENTS: usize = 40960;
/** The bytes of a code-block. */
export const CODE: usize = 57344;
export const CODE_BYTES_MAX: usize = 32768;
/** The same in pieces of 16 bytes, see `openCode`: each has one byte or more, and behind them stand the ones after the end. */
export const PIECES: usize = CODE + CODE_BYTES_MAX + 16;
/** Words of 16 columns, see `_groups.ts`, with a group at either side and a stripe above and below: at most 3 × 258 of a block of 4 × 1,024. */
export const GROUPS: usize = PIECES + (CODE_BYTES_MAX + 1) * 16;
export const FRAME: usize = GROUPS + 32768;

/** Contexts 0 to 8: zero coding, 9 to 13: signs, 14 to 16: refinement, then run lengths and the uniform one (Table D.7). */
export const REFINEMENT_CONTEXTS: usize = CONTEXTS + 14 * 8;
export const RUN_CONTEXT: usize = CONTEXTS + 17 * 8;
export const UNIFORM_CONTEXT: usize = CONTEXTS + 18 * 8;

/** Of a state's word, where its Qe stands: in line with the interval and the code. */
export const QE: u64 = 0x7fff800000000000;
