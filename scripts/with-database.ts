import type { Settings } from '../src/config/settings.ts';
import { Database } from '../src/database/database.ts';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.ts';
import { openMigrated } from '../src/database/open-database.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../src/fhir/resource-store.ts';
import { ModelReleaseStore } from '../src/governance/model-release.store.ts';

export interface Opened {
  readonly database: Database;
  readonly store: ResourceStore;
  readonly releases: ModelReleaseStore;
}

/** The database that the settings name, beside a running server or without one. */
export async function withDatabase<T>(settings: Settings, work: (to: Opened) => Promise<T>): Promise<T> {
  const embedded = settings.DATABASE_URL ? null : await startEmbeddedPostgres(settings.PRELIM_DATA);
  try {
    const dataSource = await openMigrated(
      embedded
        ? { url: embedded.serverUrl, ownerUrl: embedded.url }
        : { url: (settings.DATABASE_URL as URL).href, ownerUrl: settings.DATABASE_OWNER_URL?.href ?? null },
      2,
    );
    try {
      await loadDefinitions();
      const database = new Database(dataSource);
      const store = new ResourceStore(database, settings);
      return await work({ database, store, releases: new ModelReleaseStore(database) });
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await embedded?.stop();
  }
}
