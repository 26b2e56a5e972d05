import type { Database } from '../../database/database.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { ConceptStore } from '../systems/concept.store.ts';
import { headerId } from './write-header.ts';

/** Takes an imported code system out with its CodeSystem, at once. False: it was not there. */
export function removeTerminology(
  { database, store }: { readonly database: Database; readonly store: ResourceStore },
  url: string,
  version: string,
): Promise<boolean> {
  return database.transaction(async (tx) => {
    if (!(await new ConceptStore(database).remove(tx, url, version))) return false;
    await store.write(tx, [{ kind: 'delete', type: 'CodeSystem', id: headerId(url, version) }]);
    return true;
  });
}
