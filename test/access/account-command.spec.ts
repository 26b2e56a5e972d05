import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/scripts/account.js');
const PASSWORD = 'correct horse battery staple';

describe('npm run account', () => {
  let folder: string;
  let url: string;
  let sql: pg.Client;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prelim-account-'));
    url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    sql = new pg.Client({ connectionString: url });
    await sql.connect();
  });
  afterAll(async () => {
    await sql.end();
    await rm(folder, { recursive: true, force: true });
  });

  const account = async (args: readonly string[], stdin = '') => {
    const env = { PATH: process.env['PATH'] ?? '', PRELIM_DATA: folder, DATABASE_URL: url };
    const child = spawn(process.execPath, [PROGRAM, ...args], { env });
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, out, error };
  };

  it('makes, lists and locks accounts, with the password from standard input and each change in the audit', async () => {
    const made = await account(
      ['add', 'Kern', '--roles', 'radiologist,auditor', '--fhir-user', 'Practitioner/17'],
      `${PASSWORD}\n`,
    );
    expect(made).toEqual({ code: 0, out: '', error: '' });
    expect((await account(['list'])).out).toBe('kern\topen\tradiologist,auditor\tPractitioner/17\n');
    const { rows: before } = await sql.query('SELECT password FROM auth_account');
    expect(before[0].password).toMatch(/^scrypt\$/);
    expect((await account(['lock', 'kern'])).code).toBe(0);
    expect((await account(['list'])).out).toContain('kern\tlocked\t');
    expect((await account(['password', 'kern'], `${PASSWORD} again`)).code).toBe(0);
    expect((await account(['list'])).out).toBe('kern\topen\tradiologist,auditor\tPractitioner/17\n');
    const { rows: after } = await sql.query('SELECT password FROM auth_account');
    expect(after[0].password).not.toBe(before[0].password);
    const { rows } = await sql.query<{ content: string }>(
      'SELECT content FROM audit_event ORDER BY segment, seq',
    );
    const all = rows.map(({ content }) => content).join('\n');
    for (const word of ['account-add', 'account-lock', 'account-password'])
      expect(all).toContain(`"${word}"`);
    expect(all).not.toContain('horse');
  }, 60_000);

  it.each([
    ['a short password', ['add', 'short', '--roles', 'clinician'], 'short', 1, 'password must have'],
    ['no such role', ['add', 'roleless', '--roles', 'king'], PASSWORD, 1, 'roles must be'],
    [
      'a password as argument',
      ['add', 'loud', 'correct horse', '--roles', 'clinician'],
      '',
      2,
      'account -- <command>',
    ],
    ['nobody', ['lock', 'nobody'], '', 1, 'no account of this name'],
    ['one that is there', ['add', 'kern', '--roles', 'clinician'], PASSWORD, 1, 'There is an account'],
  ])(
    'refuses %s, and does not repeat what it was given',
    async (_what, args, stdin, code, rule) => {
      const answer = await account(args, stdin);
      expect(answer.code).toBe(code);
      expect(answer.error).toContain(rule);
      expect(answer.out + answer.error).not.toContain('horse');
    },
    30_000,
  );
});
