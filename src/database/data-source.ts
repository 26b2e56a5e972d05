import { DataSource, MigrationExecutor } from 'typeorm';
import { MIGRATIONS } from '../../migrations/all.ts';
import { connectionOf } from './connection-of.ts';
import { KEPT_ALIVE } from './silent-connections.ts';

/** Waiting for a connection, of a full pool or of a host that says nothing, ends as `database.unavailable`. */
const CONNECTION_WAIT_MS_MAX = 30_000;

/** No statement of the server takes a minute; one that does has lost its way. Searches and counts have less (`Statement.timeoutMs`). */
export const STATEMENT_MS_MAX = 60_000;
/** A transaction that waits for this process so long holds locks for nobody. */
export const IDLE_IN_TRANSACTION_MS_MAX = 30_000;
/** A migration that cannot have its table by then gives up: everybody who asks for the table would wait behind it. */
export const MIGRATION_LOCK_WAIT_MS_MAX = 10_000;

/**
 * TypeORM owns the pool, the migrations and the entities. Prepared statements live per connection, so the pool keeps its
 * connections. Time-outs bound what one statement can cost; migrations have no limit but the wait for a lock.
 */
export async function openDataSource(
  url: string,
  connectionsMax: number,
  migrations: readonly (typeof MIGRATIONS)[number][] = MIGRATIONS,
): Promise<DataSource> {
  const { user, ...connection } = connectionOf(url);
  const dataSource = new DataSource({
    type: 'postgres',
    ...connection,
    username: user,
    poolSize: connectionsMax,
    entities: [],
    migrations: [...migrations],
    migrationsTransactionMode: 'each',
    applicationName: 'prelim',
    extra: {
      idleTimeoutMillis: 0,
      ...KEPT_ALIVE,
      connectionTimeoutMillis: CONNECTION_WAIT_MS_MAX,
      statement_timeout: STATEMENT_MS_MAX,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    },
    logging: false,
  });
  await dataSource.initialize();
  return dataSource;
}

/** Runs what is missing, one process at a time: others that start now wait for the lock. */
export async function migrate(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  await runner.connect();
  try {
    // Another process may migrate a large table: waiting for it has no limit.
    await runner.query('SET statement_timeout = 0');
    await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await runner.query(`SET lock_timeout = ${MIGRATION_LOCK_WAIT_MS_MAX}`);
    const executor = new MigrationExecutor(dataSource, runner);
    executor.transaction = 'each';
    await executor.executePendingMigrations();
  } finally {
    await runner
      .query(
        `SET statement_timeout = ${STATEMENT_MS_MAX}; RESET lock_timeout; SELECT pg_advisory_unlock(${MIGRATION_LOCK})`,
      )
      .catch(() => undefined);
    await runner.release();
  }
}

/** Any number that nothing else in the database locks. */
const MIGRATION_LOCK = 7_263_541;
