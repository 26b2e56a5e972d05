/** Longer patterns do more than name codes. */
export const PATTERN_CHARACTERS_MAX = 100;
/** Each that has no upper bound multiplies the time by the length of a code once more. */
export const PATTERN_REPEATS_MAX = 2;

/**
 * A regular expression that cannot take long, whoever wrote it: characters, escapes, classes and dots, some repeated, no groups and so no
 * repeats within repeats. Held against the whole text. Null: it is not of this kind.
 */
export function safePattern(text: string): RegExp | null {
  if (text.length > PATTERN_CHARACTERS_MAX || !SAFE.test(text)) return null;
  const repeats = text.replace(/\\.|\[(?:\\.|[^\]\\])*\]/g, 'x').match(/[*+]|\{\d+,\}/g) ?? [];
  if (repeats.length > PATTERN_REPEATS_MAX) return null;
  try {
    return new RegExp(`^(?:${text.replace(/^\^|\$$/g, '')})$`, 'u');
  } catch {
    return null;
  }
}

const ATOM = String.raw`(?:[^\\[\]()*+?{}|^$]|\\[dwsDWS.\\/^$*+?(){}|[\]-]|\[\^?(?:[^\\[\]]|\\[dwsDWS.\\/^$*+?(){}|[\]-])+\])`;
const REPEAT = String.raw`(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})?`;
const SAFE = new RegExp(`^\\^?(?:${ATOM}${REPEAT})+\\$?$`, 'u');
