import type { Subscription } from '@medplum/fhirtypes';
import type { Database } from '../database/database.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';

/**
 * Sets the status that the server gives (R4 subscription.html, "status"), if it is still one of `from`; `error` stands in the resource for its
 * author to read. Gives false when it was not, or when its author writes it at the same moment: then theirs counts.
 */
export async function setStatus(
  { database, resources }: { database: Database; resources: ResourceStore },
  id: string,
  from: readonly Subscription['status'][],
  to: NonNullable<Subscription['status']>,
  error?: string,
): Promise<boolean> {
  const kept = await resources.read('Subscription', id);
  const stored = kept && !kept.deleted ? kept.parse<Subscription>() : null;
  if (!kept || !stored || !from.includes(stored.status)) return false;
  const { error: _old, ...rest } = stored;
  const next = { ...rest, id, status: to, ...(error ? { error } : {}) };
  try {
    await database.transaction((tx) =>
      resources.write(tx, [{ kind: 'update', resource: next, ifVersion: kept.versionId }]),
    );
    return true;
  } catch (conflict) {
    if (conflict instanceof Failure && conflict.code === 'fhir.version-conflict') return false;
    throw conflict;
  }
}
