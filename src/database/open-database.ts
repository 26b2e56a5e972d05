import pg from 'pg';
import type { DataSource } from 'typeorm';
import { connectionOf } from './connection-of.ts';
import { migrate, openDataSource } from './data-source.ts';

/** How the database is reached. */
export interface DatabaseAccess {
  /** The role that the server works as. */
  readonly url: string;
  /** The role that owns the audit and runs migrations; null: `url` owns all. */
  readonly ownerUrl: string | null;
}

/**
 * Migrates and gives the pool of the server's role. With an owner of its own the audit is out of the server's reach: its role may add rows to it
 * and read them; changing, removing, dropping and switching off triggers are refused by PostgreSQL.
 */
export async function openMigrated(access: DatabaseAccess, connectionsMax: number): Promise<DataSource> {
  if (access.ownerUrl !== null) await migrateAsOwner(access.ownerUrl, access.url);
  const dataSource = await openDataSource(access.url, connectionsMax);
  if (access.ownerUrl === null) await migrate(dataSource);
  return dataSource;
}

async function migrateAsOwner(ownerUrl: string, url: string): Promise<void> {
  const owner = await openDataSource(ownerUrl, 2);
  const runner = owner.createQueryRunner();
  try {
    const { user, password } = connectionOf(url);
    await makeRole(runner, user, password);
    await migrate(owner);
    await runner.query(handOver(user));
  } finally {
    await runner.release();
    await owner.destroy();
  }
}

/** Only a superuser makes the role (the embedded database); elsewhere it is there, or the server cannot come in and says so. */
async function makeRole(
  runner: { query(text: string, values?: unknown[]): Promise<unknown> },
  role: string,
  password: string,
): Promise<void> {
  const [found] = (await runner.query(
    `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) AS there, rolsuper AS super FROM pg_roles WHERE rolname = current_user`,
    [role],
  )) as { there: boolean; super: boolean }[];
  if (found?.there || !found?.super) return;
  await runner
    .query(`CREATE ROLE ${pg.escapeIdentifier(role)} LOGIN PASSWORD ${pg.escapeLiteral(password)}`)
    // Of two first starts at once the other one made it.
    .catch((error: { code?: string }) => {
      if (error.code !== '42710' && error.code !== '23505') throw error;
    });
}

/**
 * The server's role owns every table (loading terminology makes and drops partitions), but for those of the audit. The schema stays the owner's:
 * whoever owns a schema may drop what is in it.
 */
const handOver = (role: string): string => `
  DO $do$
  DECLARE
    one record;
    role name := ${pg.escapeLiteral(role)};
  BEGIN
    PERFORM pg_advisory_xact_lock(${HAND_OVER_LOCK});
    -- First: only a superuser may give a table to who may make none.
    IF NOT has_schema_privilege(role, current_schema(), 'CREATE') THEN
      EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', current_schema(), role);
    END IF;
    FOR one IN SELECT c.oid::regclass AS name, c.relname LIKE 'audit\\_%' AND c.relname <> 'audit_export' AS kept
      FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND pg_get_userbyid(c.relowner) <> CASE WHEN c.relname LIKE 'audit\\_%' AND c.relname <> 'audit_export' THEN current_user ELSE role END
    LOOP
      EXECUTE format('ALTER TABLE %s OWNER TO %I', one.name, CASE WHEN one.kept THEN current_user ELSE role END);
    END LOOP;
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
      WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND c.relname LIKE 'audit\\_%' AND c.relname <> 'audit_export'
        AND NOT (has_table_privilege(role, c.oid, 'INSERT') AND has_table_privilege(role, c.oid, 'SELECT')
          AND NOT has_table_privilege(role, c.oid, 'UPDATE') AND NOT has_table_privilege(role, c.oid, 'DELETE')
          AND NOT has_table_privilege(role, c.oid, 'TRUNCATE'))
    LOOP
      EXECUTE format('REVOKE ALL ON %s FROM %I', one.name, role);
      EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', one.name, role);
    END LOOP;
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
      WHERE c.relnamespace = current_schema()::regnamespace AND c.relname NOT LIKE 'audit\\_%'
        AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(role, c.oid, 'USAGE') ELSE false END
    LOOP
      EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', one.name, role);
    END LOOP;
  END $do$`;

/** Any number that nothing else in the database locks. */
const HAND_OVER_LOCK = 7_263_551;
