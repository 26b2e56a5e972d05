import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Agent, get as httpGet } from 'node:http';
import { get, type RequestOptions, Agent as TlsAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { secureHeaders } from '../../src/http/secure-headers.ts';
import { reloadTls, tlsOptions } from '../../src/http/serve-tls.ts';
import { freshDatabaseUrl } from '../database.ts';
import { TLS_CLIENT, TLS_SERVER } from '../fixtures/tls-certificates.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { EhrPeer } from '../peers/ehr.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'prelim-https-'));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const cert = file('cert.pem', TLS_SERVER.cert);
const key = file('key.pem', TLS_SERVER.key);
const settings = readSettings({ HTTP_TLS_CERT: cert, HTTP_TLS_KEY: key, PORT: '0' });
afterAll(() => rm(folder, { recursive: true, force: true }));

const ask = (port: number, path: string, options: RequestOptions = {}) =>
  new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, ca: TLS_SERVER.cert, agent: false, ...options }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    }).on('error', reject);
  });

describe('HTTP over TLS, by setting', () => {
  let server: PrelimServer;
  let ehr: EhrPeer;
  /** Another site than the server, as browsers count sites. */
  const ehrPage = () => ehr.url.replace('127.0.0.1', 'localhost');
  beforeAll(async () => {
    ehr = await EhrPeer.start();
    server = await PrelimServer.make({
      FRAME_ANCESTORS: ehrPage(),
      AUTH_EHRS: JSON.stringify([ehr.settings({ everybody: ['radiologist'] })]),
      DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
      HTTP_TLS_CERT: cert,
      HTTP_TLS_KEY: key,
    });
    server.launch();
    for (let look = 0; look < 500; look += 1) {
      if ((await ask(server.port, '/health/ready').catch(() => null))?.status === 200) return;
      await sleep(20);
    }
    throw new Error(`not ready:\n${server.output()}`);
  });
  afterAll(async () => {
    await server.close();
    await ehr.stop();
  });

  it('serves the whole server under the certificate, with HSTS, and links that say https', async () => {
    const metadata = await ask(server.port, '/fhir/metadata');
    expect(metadata.status).toBe(200);
    expect(metadata.headers['strict-transport-security']).toBe('max-age=31536000');
    expect(JSON.parse(metadata.text).implementation.url).toBe(`https://127.0.0.1:${server.port}/fhir`);
    expect((await ask(server.port, '/fhir/Patient')).status).toBe(401);
  });

  it.skipIf(findChromium() === null)(
    'signs in inside a frame of another site, where the browser keeps out all that is foreign: by cookies of this host and of that frame only',
    async () => {
      // A context is a private window: no storage, and no cookies but partitioned ones, for frames of other sites.
      const browser = await launchChromium();
      try {
        const context = await browser.newContext({ ignoreHTTPSErrors: true });
        const page = await context.newPage();
        const launch = new URLSearchParams({ iss: ehr.iss, launch: ehr.launch(null) });
        const show = `https://127.0.0.1:${server.port}/worklist/?${launch}`;
        await page.goto(`${ehrPage()}/?${new URLSearchParams({ show })}`);
        const frame = page.frameLocator('iframe');
        await frame.getByText('No studies yet').waitFor({ timeout: 20_000 });
        const cookies = await context.cookies();
        expect(cookies.map(({ name }) => name).sort()).toEqual([
          '__Host-prelim_pages',
          'prelim_browser',
          'prelim_session',
        ]);
        for (const cookie of cookies) {
          expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: 'None' });
          expect(cookie.partitionKey, cookie.name).toContain('localhost');
        }
        expect(await page.frames()[1]?.evaluate('window.name')).not.toMatch(/eyJ|token/);
        await frame.getByRole('button', { name: 'Sign out' }).click();
        await frame.getByRole('button', { name: 'Use my account' }).waitFor();
      } finally {
        await browser.close();
      }
    },
  );

  it('speaks TLS 1.2 and newer, and no plain HTTP on that port', async () => {
    await expect(ask(server.port, '/', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow();
    expect((await ask(server.port, '/health/live', { maxVersion: 'TLSv1.2' })).status).toBe(200);
    expect((await ask(server.port, '/health/live', { minVersion: 'TLSv1.3' })).status).toBe(200);
    const plain = await new Promise((resolve) => {
      httpGet({ host: '127.0.0.1', port: server.port, path: '/health/live', agent: new Agent() }, resolve).on(
        'error',
        () => resolve(null),
      );
    });
    expect(plain).toBeNull();
  });

  it('takes a new certificate without a restart and without ending a connection; one that is no good changes nothing', async () => {
    const agent = new TlsAgent({ keepAlive: true, maxSockets: 1 });
    const kept = { agent } as RequestOptions;
    expect((await ask(server.port, '/health/live', kept)).status).toBe(200);
    const socketsBefore = Object.values(agent.freeSockets).flat().length;
    expect(socketsBefore).toBe(1);

    writeFileSync(cert, 'not a certificate');
    process.kill(server.pid, 'SIGHUP');
    await until(() => server.output().includes('the one before is served on'));
    expect(await servedName(server.port)).toBe('server');

    writeFileSync(cert, TLS_CLIENT.cert);
    writeFileSync(key, TLS_CLIENT.key);
    process.kill(server.pid, 'SIGHUP');
    await until(async () => (await servedName(server.port)) === 'client');
    // The connection from before still serves, under the certificate it was opened with.
    expect((await ask(server.port, '/health/live', kept)).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    agent.destroy();
    expect(server.output()).not.toContain('PRIVATE KEY');
  });

  it('refuses to start with a key that belongs to another certificate, and names the setting', async () => {
    const other = await PrelimServer.make({
      HTTP_TLS_CERT: file('a.pem', TLS_SERVER.cert),
      HTTP_TLS_KEY: file('b.pem', TLS_CLIENT.key),
    });
    const { code, said } = await other.startAndEnd();
    await other.close();
    expect(code).toBe(1);
    expect(said).toContain('HTTP_TLS_KEY is not the key of HTTP_TLS_CERT');
    expect(said).not.toContain('PRIVATE KEY');
  });
});

describe('client certificates', () => {
  let server: FastifyInstance;
  let port: number;
  let stop: () => void;
  const ca = file('ca.pem', TLS_CLIENT.cert);
  const cert2 = file('cert2.pem', TLS_SERVER.cert);
  const key2 = file('key2.pem', TLS_SERVER.key);
  beforeAll(async () => {
    const own = readSettings({ HTTP_TLS_CERT: cert2, HTTP_TLS_KEY: key2, HTTP_TLS_CA: ca, PORT: '0' });
    server = fastify({ https: tlsOptions(own) }) as unknown as FastifyInstance;
    secureHeaders(server, own);
    server.get('/', async () => 'x');
    await server.listen({ port: 0, host: '127.0.0.1' });
    port = (server.server.address() as AddressInfo).port;
    stop = reloadTls(server.server, own, { info: () => undefined, error: () => undefined }, 20);
  });
  afterAll(async () => {
    stop();
    await server.close();
  });

  it('are asked for where HTTP_TLS_CA is set: a caller without one, or with a stranger’s, gets no answer', async () => {
    expect((await ask(port, '/', { cert: TLS_CLIENT.cert, key: TLS_CLIENT.key })).status).toBe(200);
    await expect(ask(port, '/')).rejects.toThrow();
    await expect(ask(port, '/', { cert: TLS_SERVER.cert, key: TLS_SERVER.key })).rejects.toThrow();
  });

  it('and are read again when the file changes, with nobody telling', async () => {
    writeFileSync(ca, TLS_SERVER.cert);
    await until(async () =>
      ask(port, '/', { cert: TLS_SERVER.cert, key: TLS_SERVER.key }).then(
        () => true,
        () => false,
      ),
    );
    await expect(ask(port, '/', { cert: TLS_CLIENT.cert, key: TLS_CLIENT.key })).rejects.toThrow();
  });
});

it('without the settings nothing of this is there', () => {
  expect(tlsOptions(readSettings({}))).toBeNull();
  expect(settings.baseUrl).toBe('https://127.0.0.1:0');
});

async function servedName(port: number): Promise<string> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

async function until(test: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await test()); await sleep(20))
    if (Date.now() > end) throw new Error('did not happen in time');
}
