import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { connectionOf } from '../../src/database/connection-of.ts';
import { redisConnection } from '../../src/queue/redis-options.ts';
import { freshDatabaseUrl } from '../database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { until } from '../flow/flow-world.ts';
import { type DebianPostgres, debianPostgres, startDebianPostgres } from '../peers/debian-postgres.ts';
import { freePort } from '../peers/free-port.ts';
import { PrelimServer } from '../peers/prelim-server.ts';
import { redisMissing } from '../peers/redis.ts';
import { describeWithPeer } from '../peers/required.ts';

const folder = mkdtempSync(join(tmpdir(), 'prelim-stores-'));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
/** The server's own certificate is its authority, and the client's that of the client. */
const serverCa = file('server-ca.pem', TLS_SERVER.cert);
const strangeCa = file('strange-ca.pem', TLS_CLIENT.cert);
const clientCert = file('client.pem', TLS_CLIENT.cert);
const clientKey = file('client.key', TLS_CLIENT.key);
afterAll(() => rm(folder, { recursive: true, force: true }));

const bin = debianPostgres();

describeWithPeer('PostgreSQL over TLS', bin ? null : 'skipped: no PostgreSQL of Debian', () => {
  let postgres: DebianPostgres;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    postgres = await startDebianPostgres(bin as string, {
      tls: { port, cert: TLS_SERVER.cert, key: TLS_SERVER.key, ca: TLS_CLIENT.cert },
    });
    await postgres.tool('createdb', ['prelim']);
  });
  afterAll(() => postgres?.stop());

  const url = (query: string) => `postgres://prelim:pw-of-the-database@127.0.0.1:${port}/prelim${query}`;
  const good = `?sslmode=verify-full&sslrootcert=${serverCa}&sslcert=${clientCert}&sslkey=${clientKey}`;

  it('serves the whole server, on connections that are all encrypted', async () => {
    const server = await PrelimServer.start({ DATABASE_URL: url(good) });
    expect((await server.ask('POST', '/fhir/Patient', { resourceType: 'Patient' })).status).toBe(201);
    const states = await postgres.tool('psql', [
      '-d',
      'prelim',
      '-Atc',
      'SELECT DISTINCT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL',
    ]);
    expect(states.trim()).toMatch(/^t\|TLSv1\.[23]$/);
    expect(server.output()).not.toContain('pw-of-the-database');
    await server.close();
  }, 60_000);

  it.each([
    ['in the clear', ''],
    ['with sslmode=disable', '?sslmode=disable'],
    [
      'with an authority that did not sign it',
      `?sslmode=verify-full&sslrootcert=${strangeCa}&sslcert=${clientCert}&sslkey=${clientKey}`,
    ],
    ['with the authorities of Node', `?sslmode=require&sslcert=${clientCert}&sslkey=${clientKey}`],
    ['without our certificate', `?sslmode=verify-full&sslrootcert=${serverCa}`],
  ])(
    'is not spoken to %s',
    async (_how, query) => {
      const server = await PrelimServer.make({ DATABASE_URL: url(query), PRELIM_ROLES: 'api' });
      const { code, said } = await server.startAndEnd();
      await server.close();
      expect(code).toBe(1);
      expect(said).toContain('The database does not answer');
      expect(said).not.toContain('pw-of-the-database');
    },
    40_000,
  );

  it('is given a connection string whose faults are named without repeating it', () => {
    for (const query of [
      '?sslmode=prefer',
      '?sslmode=allow',
      '?sslmode=no-verify',
      `?sslmode=verify-full&sslcert=${clientCert}`,
      '?sslrootcert=/none',
    ])
      expect(() => connectionOf(url(query))).toThrow(
        expect.objectContaining({ code: 'config.invalid', message: expect.not.stringContaining('pw-of') }),
      );
    expect(connectionOf(url('?sslmode=verify-ca')).ssl?.checkServerIdentity?.()).toBeUndefined();
    expect(connectionOf(url(`?sslrootcert=${serverCa}`)).ssl).toMatchObject({
      rejectUnauthorized: true,
      ca: TLS_SERVER.cert,
    });
    expect(connectionOf(url('')).ssl).toBeUndefined();
  });
});

describeWithPeer('Redis over TLS', redisMissing(), () => {
  let port: number;
  let stop: () => Promise<void>;
  let url: string;
  beforeAll(async () => {
    port = await freePort();
    const tls = [
      '--tls-port',
      String(port),
      '--port',
      '0',
      '--tls-cert-file',
      file('s.pem', TLS_SERVER.cert),
      '--tls-key-file',
      file('s.key', TLS_SERVER.key),
    ];
    const more = [
      '--tls-ca-cert-file',
      strangeCa,
      '--tls-auth-clients',
      'yes',
      '--requirepass',
      'pw-of-redis',
      '--save',
      '',
      '--dir',
      folder,
    ];
    const child = spawn('redis-server', [...tls, ...more, '--bind', '127.0.0.1'], { stdio: 'ignore' });
    stop = async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    };
    url = `rediss://:pw-of-redis@127.0.0.1:${port}/1`;
  });
  afterAll(() => stop?.());

  const settings = (more: Record<string, string> = {}) => ({
    REDIS_URL: url,
    REDIS_TLS_CA: serverCa,
    REDIS_TLS_CERT: clientCert,
    REDIS_TLS_KEY: clientKey,
    ...more,
  });
  const ping = async (env: Record<string, string>): Promise<string> => {
    const client = new Redis({
      ...redisConnection(readSettings(env)),
      lazyConnect: true,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
    } as object);
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.ping();
    } catch {
      return 'refused';
    } finally {
      client.disconnect();
    }
  };

  it('answers with the right authority and our certificate, and is not spoken to otherwise', async () => {
    await until(async () => (await ping(settings())) === 'PONG', 5_000);
    expect(await ping(settings({ REDIS_TLS_CA: '' }))).toBe('refused');
    expect(await ping(settings({ REDIS_TLS_CA: strangeCa }))).toBe('refused');
    expect(await ping(settings({ REDIS_TLS_CERT: '', REDIS_TLS_KEY: '' }))).toBe('refused');
    expect(await ping({ REDIS_URL: url.replace('rediss:', 'redis:') })).toBe('refused');
  });

  it('carries the jobs of a server: Bull too speaks TLS', async () => {
    const server = await PrelimServer.start({
      DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
      ...settings(),
    });
    const client = new Redis({ ...redisConnection(readSettings(settings())) } as object);
    await until(async () => (await client.keys('prelim:*')).length > 0);
    const clients = String(await client.client('LIST'));
    expect(clients.split('\n').length).toBeGreaterThan(3);
    client.disconnect();
    expect(server.output()).not.toMatch(/Redis does not answer|pw-of-redis/);
    await server.close();
  }, 40_000);

  it('certificates beside redis:// are a fault of the settings, not a wish', () => {
    expect(() => redisConnection(readSettings(settings({ REDIS_URL: 'redis://127.0.0.1/' })))).toThrow(
      /rediss:\/\//,
    );
    expect(redisConnection(readSettings({}))).toBeNull();
    expect(redisConnection(readSettings({ REDIS_URL: 'redis://u:p%40@h:7/3' }))).toMatchObject({
      host: 'h',
      port: 7,
      db: 3,
      username: 'u',
      password: 'p@',
    });
  });
});
