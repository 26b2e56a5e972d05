import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { openMigrated } from './open-database.ts';

let folder: string;
let postgres: EmbeddedPostgres;
let server: DataSource;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-roles-'));
  await chmod(folder, 0o755); // as root the database runs under another account, which must be able to enter
  postgres = await startEmbeddedPostgres(folder);
  server = await openMigrated({ url: postgres.serverUrl, ownerUrl: postgres.url }, 2);
});
afterAll(async () => {
  await server.destroy();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const names = async (sql: string): Promise<string[]> =>
  ((await server.query(sql)) as { name: string }[]).map(({ name }) => name);
const OWN = `relnamespace = current_schema()::regnamespace`;

describe("the server's role in the embedded database", () => {
  it('may use every table and sequence but those of the audit as its own', async () => {
    const tables = `SELECT relname AS name FROM pg_class WHERE ${OWN} AND relkind IN ('r', 'p')
      AND (relname NOT LIKE 'audit\\_%' OR relname = 'audit_export')`;
    expect(await names(`${tables} AND NOT pg_has_role(relowner, 'USAGE')`)).toEqual([]);
    expect((await names(tables)).length).toBeGreaterThan(30);
    const sequences = `SELECT relname AS name FROM pg_class WHERE ${OWN} AND relname NOT LIKE 'audit\\_%'
      AND CASE relkind WHEN 'S' THEN`;
    expect(await names(`${sequences} NOT has_sequence_privilege(oid, 'USAGE') ELSE false END`)).toEqual([]);
    expect(await names(`${sequences} true ELSE false END`)).toContain('hl7_control_id');
    expect(await names(`SELECT nextval('hl7_control_id')::text AS name`)).toHaveLength(1);
  });

  it('may only add to the audit and read it', async () => {
    const rows =
      (await server.query(`SELECT relname AS name, string_agg(p, ' ' ORDER BY p) AS rights FROM pg_class
      CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p
      WHERE ${OWN} AND relkind IN ('r', 'p') AND relname LIKE 'audit\\_%' AND relname <> 'audit_export'
        AND has_table_privilege(oid, p) GROUP BY 1`)) as { name: string; rights: string }[];
    expect(rows.length).toBeGreaterThan(1);
    expect(new Set(rows.map(({ rights }) => rights))).toEqual(new Set(['INSERT SELECT']));
  });
});

describe('a database with two roles of the site (DATABASE_URL and DATABASE_OWNER_URL)', () => {
  let site: DataSource;
  const [app, owner] = ["site'app", 'site owner'] as const;
  const urlOf = (role: string, database: string) => {
    const url = new URL(postgres.url.replace('@/', '@localhost/'));
    url.username = encodeURIComponent(role);
    url.password = 'of the site';
    url.pathname = `/${database}`;
    return url.href;
  };
  beforeAll(async () => {
    const superuser = new pg.Client({ connectionString: postgres.url });
    await superuser.connect();
    // As docs/audit.md says it, by whoever runs the site's PostgreSQL.
    for (const text of [
      `CREATE ROLE "${app}" LOGIN PASSWORD 'of the site'`,
      `CREATE ROLE "${owner}" LOGIN PASSWORD 'of the site'`,
      `GRANT "${app}" TO "${owner}"`,
      `CREATE DATABASE site OWNER "${owner}"`,
    ])
      await superuser.query(text);
    await superuser.end();
    site = await openMigrated({ url: urlOf(app, 'site'), ownerUrl: urlOf(owner, 'site') }, 2);
  });
  afterAll(() => site?.destroy());
  const ask = async (text: string) => (await site.query(text)) as Record<string, unknown>[];

  it('is migrated by the one and served by the other, neither of them a superuser', async () => {
    expect(
      await ask('SELECT current_user AS role, usesuper FROM pg_user WHERE usename = current_user'),
    ).toEqual([{ role: app, usesuper: false }]);
    expect(
      await ask(
        `SELECT tableowner FROM pg_tables WHERE tablename IN ('resource', 'audit_event') ORDER BY tablename`,
      ),
    ).toEqual([{ tableowner: owner }, { tableowner: app }]);
    await ask(`INSERT INTO audit_event VALUES (1, 1, now(), '', '', '{1}', '[]')`);
    expect(await ask('SELECT audit_sort_in() >= 0 AS done')).toEqual([{ done: true }]);
    await ask(`INSERT INTO audit_export VALUES ('x', 1, 1)`);
    await ask('DELETE FROM audit_export');
  });

  it.each([
    `UPDATE audit_event SET content = ''`,
    'DELETE FROM audit_event',
    'TRUNCATE audit_event',
    'DROP TABLE audit_event',
    'ALTER TABLE audit_event DISABLE TRIGGER ALL',
    'ALTER INDEX audit_event_keys SET (fastupdate = off)',
    `CREATE OR REPLACE FUNCTION audit_sort_in() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`,
    `SET ROLE "site owner"`,
  ])('the role that serves is refused: %s', async (text) => {
    await expect(ask(text)).rejects.toMatchObject({ code: '42501' });
  });

  it('and a second start finds nothing to do', async () => {
    const again = await openMigrated({ url: urlOf(app, 'site'), ownerUrl: urlOf(owner, 'site') }, 2);
    await again.destroy();
  });
});
