import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../src/database/database.ts';
import type { AccessContext } from '../src/fhir/access-context.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { ResourceStore, type ResourceWrite } from '../src/fhir/resource-store.ts';
import type { StoredResource } from '../src/fhir/stored-resource.ts';
import { type FreshDatabase, freshDatabase } from './database.ts';

/** The base of the store: what links and absolute references begin with. */
export const BASE = 'http://127.0.0.1:8080/fhir';

export interface StoredResources {
  readonly store: ResourceStore;
  readonly database: Database;
  /** Writes in one transaction. */
  write(...writes: readonly ResourceWrite[]): Promise<readonly StoredResource[]>;
  search(type: string, query: string, access?: AccessContext): ReturnType<ResourceStore['search']>;
  /** Ids that a search finds, sorted, with a space between them. */
  ids(type: string, query: string): Promise<string>;
}

/** For a spec or a `describe`: a store over a database of its own, with these resources in it. */
export function storedResources(resources: readonly Resource[] = []): StoredResources {
  let fresh: FreshDatabase;
  let store: ResourceStore;
  beforeAll(async () => {
    fresh = await freshDatabase();
    await loadDefinitions();
    store = new ResourceStore(fresh.database, { baseUrl: 'http://127.0.0.1:8080' });
    if (resources.length > 0)
      await write(...resources.map((resource) => ({ kind: 'create' as const, resource })));
  });
  afterAll(() => fresh?.close());
  const write = (...writes: readonly ResourceWrite[]) =>
    fresh.database.transaction((tx) => store.write(tx, writes));
  return {
    get store() {
      return store;
    },
    get database() {
      return fresh.database;
    },
    write,
    search: (type, query, access) => store.search(type, query, fresh.database, access),
    async ids(type, query) {
      const { matches } = await store.search(type, query);
      return matches
        .map(({ id }) => id)
        .sort()
        .join(' ');
    },
  };
}
