/** Longest text of one field of a row: three lines on the page. A hostile or broken sender must not fill everybody's list. */
export const FIELD_CHARS_MAX = 400;

/** Text for one field of a row: control characters become spaces, ends are trimmed, the rest is cut. null when empty. */
export function shorten(text: string | null | undefined): string | null {
  if (typeof text !== 'string') return null;
  const clean = text
    .slice(0, 4 * FIELD_CHARS_MAX)
    .replace(CONTROLS, ' ')
    .trim();
  if (clean.length <= FIELD_CHARS_MAX) return clean === '' ? null : clean;
  // Counted in letters, so that a cut never leaves half of one.
  const letters = [...clean];
  return letters.length <= FIELD_CHARS_MAX ? clean : `${letters.slice(0, FIELD_CHARS_MAX - 1).join('')}…`;
}

const CONTROLS = /\p{Cc}+/gu;
