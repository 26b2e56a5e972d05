import type { Sql, Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import type { AccessContext } from '../access-context.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';

/**
 * R4 http.html#ccreate: the one resource that criteria of a conditional request find; null for none. Throws `fhir.multiple-matches`. Until
 * the transaction ends others with the same criteria wait, so that fifty parallel conditional creates make one resource.
 */
export async function matchExisting(
  store: ResourceStore,
  tx: Transaction,
  type: string,
  criteria: string,
  access: AccessContext,
): Promise<StoredResource | null> {
  const query = new URLSearchParams(criteria);
  for (const name of ['_count', '_sort', '_total', '_include', '_revinclude', '_summary', '_cursor'])
    query.delete(name);
  if ([...query].filter(([, value]) => value !== '').length === 0) {
    throw new Failure(
      'fhir.invalid',
      'The criteria of a conditional request must name at least one search parameter.',
    );
  }
  query.sort();
  await lockCriteria(tx, `${type}?${query}`);
  query.set('_count', '2');
  const { matches } = await store.search(type, query, tx, access);
  if (matches.length > 1)
    throw new Failure('fhir.multiple-matches', 'The criteria match more than one resource.');
  return matches[0] ?? null;
}

async function lockCriteria(tx: Sql, criteria: string): Promise<void> {
  await tx.run(
    { name: 'fhir-lock-criteria', text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' },
    [criteria],
  );
}
