/** Longer words are found by their beginning. */
export const WORD_CHARACTERS_MAX = 48;
/** Beginnings up to this length have a list of their own; a longer beginning fits few words, whose lists are joined. */
export const PREFIX_CHARACTERS_MAX = 3;
/** A text with more words is searched by its first ones: each costs a look into the index. */
export const SEARCH_WORDS_MAX = 10;

/** The words of a text: lower case, without accents, letters and digits only. */
export function wordsOf(text: string): string[] {
  const plain = ASCII.test(text) ? text : text.normalize('NFD').replace(MARKS, '');
  return (
    plain
      .toLowerCase()
      .match(WORD)
      ?.map((word) => word.slice(0, WORD_CHARACTERS_MAX)) ?? []
  );
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;
const MARKS = /\p{M}/gu;
const WORD = /[\p{L}\p{N}]+/gu;

/** Does a text with these words answer the search? Each word asked for must begin one of them. */
export function wordsFit(asked: readonly string[], words: readonly string[]): boolean {
  return asked.every((start) => words.some((word) => word.startsWith(start)));
}

/** The words asked for, each once; a word that begins another says nothing more. */
export function askedWords(text: string): string[] {
  const words = [...new Set(wordsOf(text))];
  return words
    .filter((word) => !words.some((other) => other !== word && other.startsWith(word)))
    .slice(0, SEARCH_WORDS_MAX);
}
