import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../src/database/database.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../src/fhir/resource-store.ts';
import { type FreshDatabase, freshDatabase } from './database.ts';

export interface StoredResources {
  readonly store: ResourceStore;
  readonly database: Database;
  /** Ids that a search finds, sorted, with a space between them. */
  ids(type: string, query: string): Promise<string>;
}

/** For a spec: these resources in a store of their own. */
export function storedResources(resources: readonly Resource[]): StoredResources {
  let fresh: FreshDatabase;
  let store: ResourceStore;
  beforeAll(async () => {
    fresh = await freshDatabase();
    await loadDefinitions();
    store = new ResourceStore(fresh.database, { baseUrl: 'http://127.0.0.1:8080' });
    const writes = resources.map((resource) => ({ kind: 'create' as const, resource }));
    await fresh.database.transaction((tx) => store.write(tx, writes));
  });
  afterAll(() => fresh.close());
  return {
    get store() {
      return store;
    },
    get database() {
      return fresh.database;
    },
    async ids(type, query) {
      const { matches } = await store.search(type, query);
      return matches
        .map(({ id }) => id)
        .sort()
        .join(' ');
    },
  };
}
