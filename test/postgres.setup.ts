import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate, openDataSource } from '../src/database/data-source.ts';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database with every migration, to be used as a template only. */
    templateUrl: string;
  }
}

/** One PostgreSQL for the whole test run; each test file gets a database of its own from the migrated template. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'prelim-test-'));
  // As root PostgreSQL runs under an account of its own, which must be able to enter; else its data lie elsewhere and stay.
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres(folder);
  const dataSource = await openDataSource(postgres.url, 2);
  await migrate(dataSource);
  // Nothing here has to outlive a crash of the machine, and that of a server does not need the disk.
  for (const setting of ['fsync', 'full_page_writes'])
    await dataSource.query(`ALTER SYSTEM SET ${setting} = off`);
  await dataSource.query('SELECT pg_reload_conf()');
  await dataSource.destroy();
  project.provide('templateUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
