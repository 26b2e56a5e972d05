import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { openDataSource } from '../src/database/data-source.ts';
import { Database } from '../src/database/database.ts';

export interface FreshDatabase {
  readonly database: Database;
  /** Connection string, for a second process or a raw client. */
  readonly url: string;
  close(): Promise<void>;
}

/** A database of its own with all migrations, on the PostgreSQL of the test run. */
export async function freshDatabase(options: { connections?: number } = {}): Promise<FreshDatabase> {
  const url = await freshDatabaseUrl();
  const dataSource = await openDataSource(url, options.connections ?? 6);
  return { database: new Database(dataSource), url, close: () => dataSource.destroy() };
}

/** Only the database, for a server of its own to connect to. */
export async function freshDatabaseUrl(): Promise<string> {
  const templateUrl = inject('templateUrl');
  const name = `t_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({ connectionString: templateUrl.replace('/prelim?', '/postgres?') });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name} TEMPLATE prelim STRATEGY wal_log`);
  } finally {
    await client.end();
  }
  return templateUrl.replace('/prelim?', `/${name}?`);
}
