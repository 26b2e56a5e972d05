import { useState } from 'preact/hooks';
import { dropWords, keepWords, wordsFor } from '../../../browser/kept-words.ts';

export interface Reason {
  readonly reason: string;
  readonly type: (reason: string) => void;
  /** It was typed before the sign-in ended. */
  readonly isKept: boolean;
  /** It was used or given up. */
  readonly drop: () => void;
}

/** The reason for a deed, which outlives a sign-in that ends while it is typed. */
export function useReason(about: string): Reason {
  const [kept] = useState(() => wordsFor(about));
  const [reason, setReason] = useState(kept);
  const type = (words: string) => {
    setReason(words);
    keepWords(about, words);
  };
  return { reason, type, isKept: kept !== '', drop: () => dropWords(about) };
}
