import { decodeHex, isWritable, type WrittenCharset } from './charset.ts';

/** Escape sequences of chapter 2.7, in canonical delimiters `|^~\&`. One pass each, so that `\E\X0D\E\` stays text. */

/**
 * Resolves `\F\ \S\ \T\ \R\ \E\` and runs of `\X..\`. Formatting (`\.br\`, `\H\`, `\N\`) and the other character set
 * escapes (`\C..\`, `\M..\`, `\Z..\`) stay as they are: they have no plain text.
 */
export function unescapeText(text: string, declaredCharset: string, siteDefault: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(ESCAPE, (_, hexRun: string | undefined, letter: string) =>
    hexRun === undefined
      ? LETTER_TO_DELIMITER[letter]!
      : decodeHex(hexRun.replace(/\\X|\\/g, ''), declaredCharset, siteDefault),
  );
}

export interface Escaped {
  readonly text: string;
  /** Letters the character set does not have. */
  readonly unmapped: number;
}

/**
 * Escapes one cell: delimiters by letter; control characters, and letters that the character set lacks, as the hex of
 * their UTF-8 bytes (or as `replacement`, when one is chosen for letters).
 */
export function escapeText(text: string, charset: WrittenCharset, replacement: string | null): Escaped {
  let unmapped = 0;
  let escaped = '';
  for (const character of text.toWellFormed()) {
    const letter = DELIMITER_TO_LETTER[character];
    const codePoint = character.codePointAt(0)!;
    if (letter !== undefined) escaped += `\\${letter}\\`;
    else if (isWritable(codePoint, charset)) escaped += character;
    else if (codePoint < 0xa0) escaped += hexEscape(character);
    else {
      unmapped += 1;
      escaped += replacement ?? hexEscape(character);
    }
  }
  return { text: escaped, unmapped };
}

/** A cell's delimiter as its escape sequence, other characters as they are. */
export function escapeDelimiter(character: string): string {
  const letter = DELIMITER_TO_LETTER[character];
  return letter === undefined ? character : `\\${letter}\\`;
}

const ESCAPE = /((?:\\X(?:[0-9A-Fa-f]{2})+\\)+)|\\([FSTRE])\\/g;
const LETTER_TO_DELIMITER: Readonly<Record<string, string>> = { F: '|', S: '^', T: '&', R: '~', E: '\\' };
const DELIMITER_TO_LETTER: Readonly<Record<string, string>> = {
  '|': 'F',
  '^': 'S',
  '&': 'T',
  '~': 'R',
  '\\': 'E',
};

function hexEscape(character: string): string {
  return `\\X${Buffer.from(character, 'utf8').toString('hex').toUpperCase()}\\`;
}
