import { freshDatabaseUrl } from './database.ts';
import { PrelimServer } from './peers/prelim-server.ts';

/**
 * A server on a fresh database of the PostgreSQL of the test run: seconds quicker than one with an embedded PostgreSQL of its own, which has to be
 * made, migrated, and stopped and started with it. For all that is not about the embedded one.
 */
export async function freshServer(settings: Readonly<Record<string, string>> = {}): Promise<PrelimServer> {
  return PrelimServer.start({ DATABASE_URL: await serverDatabaseUrl(), ...settings });
}

/** For servers that share one. A URL needs a host beside a user; the socket folder in the query wins over it. */
export const serverDatabaseUrl = async (): Promise<string> =>
  (await freshDatabaseUrl()).replace('@/', '@localhost/');
