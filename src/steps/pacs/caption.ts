import type { Picture } from './decode-png.ts';

/**
 * The picture with lines of text below it, on black: what a PACS that shows nothing else must say. Letters are capitals of 5 × 7 points,
 * drawn twice as large; a character without a shape here becomes a dash. Text that is wider than the picture goes on in the next line.
 */
export function captionBelow(picture: Picture, lines: readonly string[]): Picture {
  const perLine = Math.max(8, Math.floor((picture.columns - 2 * MARGIN) / ADVANCE));
  const wrapped = lines.flatMap((line) => wrap(line, perLine)).slice(0, CAPTION_LINES_MAX);
  if (wrapped.length === 0) return picture;
  const rows = picture.rows + wrapped.length * LINE + 2 * MARGIN;
  const columns = Math.max(picture.columns, perLine * ADVANCE + 2 * MARGIN);
  const rgb = new Uint8Array(rows * columns * 3);
  for (let row = 0; row < picture.rows; row++) {
    const from = row * picture.columns * 3;
    rgb.set(picture.rgb.subarray(from, from + picture.columns * 3), row * columns * 3);
  }
  for (const [at, line] of wrapped.entries()) drawLine(rgb, columns, picture.rows + MARGIN + at * LINE, line);
  return { rows, columns, rgb };
}

/** More would make a report of a picture; the report is in the SR. */
export const CAPTION_LINES_MAX = 16;

const SCALE = 2;
const MARGIN = 6;
const GLYPH_COLUMNS = 5;
const GLYPH_ROWS = 7;
/** Pixels from one letter, or line, to the next. */
const ADVANCE = (GLYPH_COLUMNS + 1) * SCALE;
const LINE = (GLYPH_ROWS + 3) * SCALE;
/** Light grey: white would dazzle in a dark room. */
const INK = 200;

function wrap(line: string, characters: number): string[] {
  const out: string[] = [];
  let rest = line.trim();
  while (rest.length > characters) {
    const space = rest.lastIndexOf(' ', characters);
    const end = space > 0 ? space : characters;
    out.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return rest === '' ? out : [...out, rest];
}

function drawLine(rgb: Uint8Array, columns: number, top: number, line: string): void {
  for (const [at, letter] of [...line.toUpperCase()].entries()) {
    const glyph = GLYPHS[letter] ?? DASH;
    for (let bit = 0; bit < GLYPH_COLUMNS * GLYPH_ROWS; bit++) {
      // 35 bits do not fit the bitwise operators.
      const isInk = Math.floor(glyph / 2 ** (GLYPH_COLUMNS * GLYPH_ROWS - 1 - bit)) % 2 === 1;
      if (!isInk) continue;
      const y = top + Math.floor(bit / GLYPH_COLUMNS) * SCALE;
      const x = MARGIN + at * ADVANCE + (bit % GLYPH_COLUMNS) * SCALE;
      for (let dy = 0; dy < SCALE; dy++) {
        const from = ((y + dy) * columns + x) * 3;
        rgb.fill(INK, from, from + SCALE * 3);
      }
    }
  }
}

/** Seven rows of five points each, top left first, as 35 bits. */
const GLYPHS: Readonly<Record<string, number>> = {
  A: 0x3a31fc631,
  B: 0x7a31f463e,
  C: 0x3e108420f,
  D: 0x7a318c63e,
  E: 0x7e10f421f,
  F: 0x7e10f4210,
  G: 0x3e109c62f,
  H: 0x4631fc631,
  I: 0x38842108e,
  J: 0x1c4210a4c,
  K: 0x4654c5251,
  L: 0x42108421f,
  M: 0x4775ac631,
  N: 0x4735ace31,
  O: 0x3a318c62e,
  P: 0x7a31f4210,
  Q: 0x3a318d64d,
  R: 0x7a31f5251,
  S: 0x3e107043e,
  T: 0x7c8421084,
  U: 0x46318c62e,
  V: 0x46318a944,
  W: 0x4631ad771,
  X: 0x462a22a31,
  Y: 0x462a21084,
  Z: 0x7c222221f,
  '0': 0x3a33ae62e,
  '1': 0x11842108e,
  '2': 0x3a213221f,
  '3': 0x78217043e,
  '4': 0x08ca97c42,
  '5': 0x7e1e0862e,
  '6': 0x3a10f462e,
  '7': 0x7c2222108,
  '8': 0x3a317462e,
  '9': 0x3a317842e,
  '.': 0x00000018c,
  ',': 0x000003088,
  ':': 0x018c03180,
  '-': 0x0000f8000,
  '+': 0x0084f9080,
  '%': 0x672222273,
  '/': 0x042222210,
  '(': 0x088842082,
  ')': 0x208210888,
  '<': 0x088882082,
  '>': 0x208208888,
  '=': 0x001f07c00,
  '@': 0x3a37ade0e,
  ' ': 0x000000000,
};

const DASH = GLYPHS['-'] as number;
