import type { Transaction } from '../../database/database.ts';

/**
 * Until the transaction ends, others who come with the same words wait: for what has no row yet that could be locked. Goes with the next statement, which
 * sees what those before committed: in READ COMMITTED every statement looks anew.
 */
export async function lockWords(tx: Transaction, words: string): Promise<void> {
  if (tx.later) tx.later(LOCK, [words]);
  else await tx.run(LOCK, [words]);
}

const LOCK = { name: 'fhir-lock-words', text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' };
