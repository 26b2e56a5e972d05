import type { Settings } from '../../config/settings.ts';
import type { Database } from '../../database/database.ts';
import { definitions } from '../definitions/definitions.ts';
import type { OperationRegistry } from '../operation-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import { validateOperations } from '../validate/validate-operation.ts';
import { everythingOperation } from './everything.ts';
import { expungeOperation } from './expunge.ts';
import { metaOperations } from './meta.ts';

/** The operations that every FHIR server may have, whatever is done with it. Needs the definitions. */
export function registerOperations(
  registry: OperationRegistry,
  store: ResourceStore,
  database: Database,
  settings: Partial<Pick<Settings, 'FHIR_EXPUNGE' | 'FHIR_REFERENTIAL_INTEGRITY'>>,
): void {
  const integrity = settings.FHIR_REFERENTIAL_INTEGRITY === 'check';
  registry.register(everythingOperation('Patient', store, database));
  registry.register(everythingOperation('Encounter', store, database));
  for (const operation of metaOperations(null, store, database)) registry.register(operation);
  for (const type of definitions().resourceTypes) {
    for (const operation of metaOperations(type, store, database)) registry.register(operation);
    registry.register(expungeOperation(type, store, database, settings));
    for (const operation of validateOperations(type, store, database, { integrity }))
      registry.register(operation);
  }
}
