import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings, SETTINGS } from '../../src/config/settings.ts';
import { freshDatabaseUrl } from '../database.ts';
import { TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'prelim-secrets-'));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
afterAll(() => rm(folder, { recursive: true, force: true }));

const SECRET = (name: string) => `secret-of-${name.toLowerCase()}-0123456789abcdef`;
/** Every setting that holds a secret, or an address with one, with a value that is good. */
const GOOD: Readonly<Record<string, string>> = {
  DICOMWEB_TOKEN: SECRET('dicomweb-token'),
  SUBSCRIPTION_SECRETS: JSON.stringify({ 'ehr.example': SECRET('subscription') }),
  AUTH_CLIENTS: JSON.stringify([{ id: 'ehr', secretSha256: 'ab'.repeat(32), scope: 'system/Patient.rs' }]),
};
/** Values that are refused. */
const BAD: Readonly<Record<string, string>> = {
  DATABASE_URL: `mysql://prelim:${SECRET('database')}@db/prelim`,
  REDIS_URL: `http://:${SECRET('redis')}@redis`,
  DICOMWEB_URL: `ftp://pacs/${SECRET('dicomweb-url')}`,
  RIS_URL: `http://ris/${SECRET('ris')}`,
  SUBSCRIPTION_SECRETS: `{"ehr.example":"${SECRET('short').slice(0, 20)}"`,
  BASE_URL: `ldap://${SECRET('base')}`,
  TRUSTED_PROXIES: SECRET('proxies'),
  FRAME_ANCESTORS: `https://ehr.example; script-src ${SECRET('frame')}`,
};
const secretsIn = (values: Readonly<Record<string, string>>) =>
  Object.values(values).flatMap((value) => value.match(/secret-of-[a-z0-9-]+|(?:ab){32}/g) ?? []);

describe('secrets', () => {
  it('come from the environment or, each of them, from a file', () => {
    for (const name of Object.keys(SETTINGS)) {
      const text = GOOD[name] ?? (name === 'DATABASE_URL' ? 'postgres://u:p@h/d' : undefined);
      if (text === undefined) continue;
      const fromFile = readSettings({ [`${name}_FILE`]: file(name, `${text}\n`) });
      const fromEnvironment = readSettings({ [name]: text });
      expect(fromFile[name as keyof typeof fromFile]).toEqual(fromEnvironment[name as keyof typeof fromFile]);
    }
  });

  it('are in nothing that a start with faults says, whatever is wrong with them', async () => {
    const server = await PrelimServer.make({ ...BAD, LOG_LEVEL: 'debug' });
    const { code, said } = await server.startAndEnd();
    await server.close();
    expect(code).toBe(1);
    for (const name of Object.keys(BAD)) expect(said).toContain(`${name}:`);
    expect(secretsIn(BAD).filter((secret) => said.includes(secret))).toEqual([]);
  });

  it.each([
    [
      'a database that is not there',
      { DATABASE_URL: `postgres://prelim:${SECRET('db')}@127.0.0.1:1/prelim` },
      SECRET('db'),
    ],
    [
      'a file of a secret that is not there',
      { DICOMWEB_TOKEN_FILE: `/none/${SECRET('file')}` },
      SECRET('file'),
    ],
    [
      'clients that are no list',
      { AUTH_CLIENTS: `[{"id":"x","secret":"${SECRET('client')}"}]` },
      SECRET('client'),
    ],
    [
      'a key that is none',
      { HTTP_TLS_CERT: file('c.pem', TLS_SERVER.cert), HTTP_TLS_KEY: file('k.pem', SECRET('key')) },
      SECRET('key'),
    ],
  ])(
    'are not said by a start that fails on %s',
    async (_what, settings, secret) => {
      const server = await PrelimServer.make({ LOG_LEVEL: 'debug', PRELIM_ROLES: 'api', ...settings });
      const { code, said } = await server.startAndEnd();
      await server.close();
      expect(code).toBe(1);
      expect(said.length).toBeGreaterThan(20);
      expect(said).not.toContain(secret);
    },
    40_000,
  );

  describe('of a server that runs at LOG_LEVEL=debug', () => {
    let server: PrelimServer;
    beforeAll(async () => {
      const url = (await freshDatabaseUrl())
        .replace('@/', '@localhost/')
        .replace(/:\/\/[^:@]+(:[^@]*)?@/, (all) => all);
      server = await PrelimServer.start({
        ...GOOD,
        DATABASE_URL: url,
        LOG_LEVEL: 'debug',
        DICOMWEB_URL: 'http://127.0.0.1:1/pacs',
        HL7_PORT: '0',
      });
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      for (const body of [
        `grant_type=client_credentials&client_id=local&client_secret=${SECRET('wrong')}`,
        `grant_type=${SECRET('grant')}`,
        `client_assertion=${SECRET('assertion')}&grant_type=client_credentials`,
      ])
        await server.ask('POST', '/auth/token', body, { ...form, authorization: '' });
      await server.ask('GET', `/fhir/Patient?access_token=${SECRET('query')}`);
      await server.ask('GET', '/fhir/Patient', undefined, { authorization: `Bearer ${SECRET('bearer')}` });
      await server.ask('GET', '/fhir/Patient', undefined, { cookie: `prelim=${SECRET('cookie')}` });
      await server.ask('GET', `/fhir/${SECRET('path')}/1`);
    });
    afterAll(() => server?.close());

    it('are not in its output, nor are tokens, passwords and cookies that it was sent', async () => {
      const local = readFileSync(join(server.folder, 'keys', 'local-client-secret'), 'utf8').trim();
      const said = server.output();
      expect(said.length).toBeGreaterThan(50);
      const all = [...secretsIn(GOOD), server.token, local, 'secret-of-'];
      expect(all.filter((secret) => said.includes(secret))).toEqual([]);
      const metrics = (await server.ask('GET', '/metrics')).text;
      expect(all.filter((secret) => metrics.includes(secret))).toEqual([]);
    });

    it('are not in its command line, and its keys are readable by its account alone', async () => {
      const line = readFileSync(`/proc/${server.pid}/cmdline`, 'utf8');
      expect(secretsIn(GOOD).filter((secret) => line.includes(secret))).toEqual([]);
      const { statSync } = await import('node:fs');
      const keys = join(server.folder, 'keys');
      expect(statSync(keys).mode & 0o077).toBe(0);
      for (const name of readdirSync(keys)) expect(statSync(join(keys, name)).mode & 0o077, name).toBe(0);
    });
  });
});
