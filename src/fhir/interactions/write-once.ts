import type { Database, Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { OUTDATED_SQLSTATE } from '../resource-store.ts';

/** Two writers that create the same id, or wait for each other, need one more look, not an error. */
export const WRITE_TRIES_MAX = 3;

/**
 * Runs the work in one transaction. A collision that another try resolves (unique key, deadlock, serialization) is tried again;
 * after that it is `fhir.conflict`.
 */
export async function writeOnce<T>(
  { database }: { readonly database: Database },
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await database.transaction(work, { guessing: tries === 1 });
    } catch (error) {
      if (!COLLISIONS.has((error as { code?: unknown } | null)?.code as string)) throw error;
      if (tries >= WRITE_TRIES_MAX) {
        throw new Failure('fhir.conflict', 'Other writes were in the way; try again.', { cause: error });
      }
    }
  }
}

/** SQLSTATE: unique_violation, deadlock_detected, serialization_failure */
const COLLISIONS: ReadonlySet<string> = new Set(['23505', '40P01', '40001', OUTDATED_SQLSTATE]);
