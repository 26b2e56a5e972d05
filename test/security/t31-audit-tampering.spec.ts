import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { AuditEvent } from '@medplum/fhirtypes';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrelimServer } from '../peers/prelim-server.ts';

const run = promisify(execFile);
const PROGRAM = resolve(import.meta.dirname, '../../dist/scripts/audit.js');

describe('T31: the audit is tampered with', () => {
  let server: PrelimServer;
  let socket: string;
  beforeAll(async () => {
    // The embedded database, as every installation without one of its own has it.
    server = await PrelimServer.start();
    for (let n = 0; n < 5; n++) await server.ask('GET', `/fhir/Patient/nobody${n}`);
    const place = (await readFile(join(server.folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
    socket = place[4] ?? '';
  }, 60_000);
  afterAll(() => server.close());

  const connect = async (user: string, passwordFile: string): Promise<pg.Client> => {
    const password = (await readFile(join(server.folder, 'keys', passwordFile), 'utf8')).trim();
    const client = new pg.Client({ host: socket, user, password, database: 'prelim' });
    await client.connect();
    return client;
  };
  const audit = async (...args: string[]) => {
    const env = { PATH: process.env['PATH'] ?? '', PRELIM_DATA: server.folder };
    return run(process.execPath, [PROGRAM, ...args], { env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        stdout: error.stdout + error.stderr,
      }),
    );
  };

  it.each([
    `UPDATE audit_event SET content = '[]'`,
    'DELETE FROM audit_event',
    'TRUNCATE audit_event',
    'ALTER TABLE audit_event DISABLE TRIGGER ALL',
    'ALTER TABLE audit_event DISABLE TRIGGER audit_refuse_change',
    'DROP TRIGGER audit_refuse_change ON audit_event',
    'DROP TABLE audit_event',
    'DROP SCHEMA public CASCADE',
    'ALTER TABLE audit_event RENAME TO gone',
    'ALTER TABLE audit_event DROP COLUMN keys',
    'ALTER TABLE audit_event OWNER TO prelim_server',
    'CREATE RULE hide AS ON INSERT TO audit_event DO INSTEAD NOTHING',
    'CREATE TRIGGER swallow BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_refuse()',
    'CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$',
    `SET session_replication_role = replica`,
    'SET ROLE prelim',
    `BEGIN; SET LOCAL prelim.audit_prune = 'on'; DELETE FROM audit_event; COMMIT`,
    'UPDATE audit_segment SET host = 1',
    'DELETE FROM audit_segment_end',
    'TRUNCATE audit_pruned',
  ])("the application's own credentials are refused: %s", async (text) => {
    const client = await connect('prelim_server', 'postgres-server-password');
    try {
      const { rows: before } = await client.query('SELECT count(*) FROM audit_event');
      expect(Number(before[0].count)).toBeGreaterThan(5);
      await expect(client.query(text)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.end();
    }
  });

  it('nothing of it was changed, says the verifier', async () => {
    const { code, stdout } = await audit('verify');
    expect(stdout).toContain('nothing was changed or removed');
    expect(code).toBe(0);
  });

  it('`audit -- export` prints the AuditEvents of a time as NDJSON, and nothing of another', async () => {
    const { code, stdout } = await audit('export', '--from', '2026-01-01', '--to', '2999-01-01');
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);
    expect(events.length).toBeGreaterThan(5);
    for (const { resourceType, recorded } of events)
      expect([resourceType, recorded > '2026']).toEqual(['AuditEvent', true]);
    const asked = events.flatMap(({ entity = [] }) => entity.map(({ what }) => what?.reference));
    for (let n = 0; n < 5; n++) expect(asked).toContain(`Patient/nobody${n}`);
    expect([...events].sort((a, b) => a.recorded.localeCompare(b.recorded))).toEqual(events);
    expect(await audit('export', '--to', '2001-01-01')).toEqual({ code: 0, stdout: '' });
    expect((await audit('export', '--from', 'yesterday')).code).toBe(1);
  });

  it('a superuser changes one row: the verifier names it', async () => {
    const client = await connect('prelim', 'postgres-password');
    try {
      await client.query('SET session_replication_role = replica');
      const { rows } = await client.query(
        `UPDATE audit_event SET content = replace(content, 'nobody2', 'nobody7') WHERE content LIKE '%nobody2%' RETURNING segment, seq`,
      );
      expect(rows).toHaveLength(1);
      const { code, stdout } = await audit('verify');
      expect(code).toBe(1);
      expect(stdout).toContain(
        `WRONG: row ${rows[0].segment}-${rows[0].seq}: its content is not what was written`,
      );
      await client.query(
        `UPDATE audit_event SET content = replace(content, 'nobody7', 'nobody2') WHERE content LIKE '%nobody7%'`,
      );
      expect((await audit('verify')).code).toBe(0);
    } finally {
      await client.end();
    }
  });

  it('the newest rows are removed: the head that was exported before finds it', async () => {
    const head = await audit('head');
    expect(head.code).toBe(0);
    const file = join(server.folder, 'head.jws');
    await writeFile(file, head.stdout);
    expect((await audit('verify', '--head', file)).code).toBe(0);
    await server.kill('SIGTERM');
    const out = await audit('verify', '--head', file);
    expect(out.code).toBe(0);
    await server.start();
    const client = await connect('prelim', 'postgres-password');
    try {
      await client.query('SET session_replication_role = replica');
      // All that the first life of the server wrote about its last minutes, and the second life whole.
      await client.query(`DELETE FROM audit_event WHERE content LIKE '%Patient/nobody4%' OR segment > 1 OR (segment = 1 AND seq > (
        SELECT seq FROM audit_event WHERE content LIKE '%Patient/nobody4%'))`);
      await client.query('DELETE FROM audit_segment WHERE id > 1');
      await client.query('DELETE FROM audit_segment_end');
    } finally {
      await client.end();
    }
    const { code, stdout } = await audit('verify', '--head', file);
    expect(code).toBe(1);
    expect(stdout).toMatch(/WRONG: rows 1-\d+ to 1-\d+: removed; a signed head names them/);
  }, 60_000);
});
