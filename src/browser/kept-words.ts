import { KEPT_WORDS, tabStorage } from './tab-storage.ts';

/**
 * What somebody was typing, kept on the tab while it is typed: a sign-in that ends in the middle of a sentence must not take it along. One text at a time; it goes when it
 * was used or given up, and with the sign-out. Never for what is about a patient.
 */
interface KeptWords {
  /** What they are for, by a name that says nothing of a person: nowhere else they are offered. */
  readonly about: string;
  readonly words: string;
  readonly atMs: number;
}

/** Who comes back later, or to a tab that somebody else has left, begins anew. */
export const KEPT_MS_MAX = 15 * 60_000;

export function keepWords(about: string, words: string): void {
  if (words.trim() === '') {
    dropWords(about);
    return;
  }
  const kept: KeptWords = { about, words, atMs: Date.now() };
  tabStorage.set(KEPT_WORDS, JSON.stringify(kept));
}

/** The words for this; '' where there are none. */
export function wordsFor(about: string): string {
  const kept = read();
  return kept?.about === about ? kept.words : '';
}

export const hasWords = (): boolean => read() !== null;

/** They were used or given up. Those for something else stay. */
export function dropWords(about: string): void {
  if (read()?.about === about) forgetWords();
}

export const forgetWords = (): void => tabStorage.remove(KEPT_WORDS);

function read(): KeptWords | null {
  const kept = JSON.parse(tabStorage.get(KEPT_WORDS) ?? 'null') as KeptWords | null;
  if (kept === null || Date.now() - kept.atMs <= KEPT_MS_MAX) return kept;
  forgetWords();
  return null;
}
