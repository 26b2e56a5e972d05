import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
