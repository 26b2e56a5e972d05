import type { Transaction } from '../../database/database.ts';

/**
 * Until the transaction ends, others who come with the same words wait: for what has no row yet that could be locked. Goes with the next statement, which
 * sees what those before committed: in READ COMMITTED every statement looks anew.
 */
export async function lockWords(tx: Transaction, ...words: readonly string[]): Promise<void> {
  // Always in the same order, so that two transactions cannot wait for each other.
  const values = [words.toSorted()];
  if (tx.later) tx.later(LOCK, values);
  else await tx.run(LOCK, values);
}

const LOCK = {
  name: 'fhir-lock-words',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended(words, 0)) FROM unnest($1::text[]) AS words',
};
