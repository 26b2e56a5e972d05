import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

/** What may be seen without a token: whether the server lives, what it can do, where tokens come from, the sign-in page. */
const PUBLIC: readonly RegExp[] = [
  /^GET \/$/,
  /^GET \/health\/(live|ready)$/,
  /^GET \/fhir\/metadata$/,
  /^GET \/(fhir\/)?\.well-known\/smart-configuration$/,
  /^GET \/\.well-known\/(openid-configuration|oauth-authorization-server)$/,
  // Each of these asks for the client's proof, or for the cookie of the browser that began.
  /^POST \/auth\/(token|introspect|revoke)$/,
  /^(GET|POST) \/auth\/authorize$/,
  /^GET \/auth\/(continue|style\.css|open-id\/(start|callback))$/,
  /^POST \/auth\/(sign-in|patient|approve|sign-out)$/,
  /^POST \/auth\/page-session$/,
  /^GET \/auth\/ehr\/callback$/,
  /^GET \/auth\/jwks$/,
  /^GET \/worklist(?!\/api)/,
  /^GET \/operator(\/|$)/,
];

describe('the doors', () => {
  let server: PrelimServer;
  let routes: { method: string; path: string }[];
  beforeAll(async () => {
    const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    server = await PrelimServer.start({ DATABASE_URL: url });
    routes = listRoutes(server, url);
  });
  afterAll(() => server.close());

  it('the archive says what it takes to who sends it something else', async () => {
    const answer = await fetch(`${server.url}/dicomweb/studies`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.token}`, 'content-type': 'text/plain' },
      body: 'x',
    });
    const text = 'Store instances as multipart/related; type="application/dicom".';
    expect([answer.status, await answer.json()]).toMatchObject([
      415,
      { issue: [{ details: { coding: [{ code: 'archive.media-type' }], text } }] },
    ]);
  });

  it('every route but the public ones answers 401 without a token', async () => {
    expect(routes.length).toBeGreaterThan(15);
    const paths = [...new Set(routes.flatMap(({ path }) => samplesOf(path)))];
    const open: string[] = [];
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const status = await statusOf(server, method, path);
        const isPublic = PUBLIC.some((rule) => rule.test(`${method === 'HEAD' ? 'GET' : method} ${path}`));
        // The path of a public page is public for every method; what it does not offer is 4xx.
        if (
          !isPublic &&
          status !== 401 &&
          !(
            status >= 400 &&
            status < 500 &&
            PUBLIC.some((rule) => rule.test(`GET ${path}`) || rule.test(`POST ${path}`))
          )
        )
          open.push(`${method} ${path}: ${status}`);
      }
    }
    expect(open).toEqual([]);
  }, 60_000);

  it.each([
    '/fhir/Patient',
    '/fhir/metadata/../Patient',
    '/fhir/%6Detadata/../Patient',
    '/health/live/../../fhir/Patient',
    '/worklist/../fhir/Patient',
    '/worklist/api/rows',
    '/worklist/./api/rows',
    '/worklist//api/rows',
    '/worklist/%61pi/rows',
    '/worklist/x/../api/rows',
    '/worklist/..%2fapi/rows',
    '/worklist/../../package.json',
    '/worklist/%2e%2e/%2e%2e/package.json',
    '/FHIR/Patient',
    '//fhir/Patient',
    '/no-such-route',
  ])('%s gives nothing without a token, however it is written', async (path) => {
    const { status, text } = await rawGet(server, path);
    expect([400, 401, 404]).toContain(status);
    expect(text).not.toMatch(/"Bundle"|"rows"|"dependencies"/);
  });

  it('tokens that are not ours are 401: another key, no signature, another purpose, too long', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const claims = {
      client_id: 'local',
      scope: 'system/*.cruds',
      iss: 'prelim-local',
      aud: 'prelim',
      jti: 'x',
    };
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey);
    const [head = '', body = '', signature = ''] = server.token.split('.');
    const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${body}.`;
    const more = Buffer.from(
      Buffer.from(body, 'base64url').toString('utf8').replace('"local"', '"admin"'),
    ).toString('base64url');
    for (const token of [
      forged,
      none,
      `${head}.${more}.${signature}`,
      'no-token-of-ours',
      'a'.repeat(9_000),
    ]) {
      const answer = await server.ask('GET', '/fhir/Patient', undefined, {
        authorization: `Bearer ${token}`,
      });
      expect(answer.status).toBe(401);
      expect(answer.text).not.toContain(token);
    }
    expect(
      (
        await server.ask('GET', `/fhir/Patient?access_token=${server.token}`, undefined, {
          authorization: '',
        })
      ).status,
    ).toBe(401);
  });

  it('a narrower token may do what it says, and is 403 at every other door', async () => {
    const authorization = `Bearer ${await server.issue('system/Observation.rs')}`;
    const ask = async (method: string, path: string, body?: unknown) =>
      (await server.ask(method, path, body, { authorization })).status;
    expect(await ask('GET', '/fhir/Observation')).toBe(200);
    const dicom = {
      method: 'POST',
      headers: { authorization, 'content-type': 'multipart/related; type="application/dicom"; boundary=x' },
      body: '--x--',
    };
    expect((await fetch(`${server.url}/dicomweb/studies`, dicom)).status).toBe(403);
    const refused = [
      await ask('GET', '/fhir/Patient'),
      await ask('GET', '/fhir/DiagnosticReport/some'),
      await ask('POST', '/fhir/Observation', {
        resourceType: 'Observation',
        status: 'final',
        code: { text: 'x' },
      }),
      await ask('PUT', '/fhir/Subscription/model-ct-lung-density', {
        resourceType: 'Subscription',
        id: 'model-ct-lung-density',
      }),
      await ask('DELETE', '/fhir/Observation/some'),
      await ask('POST', '/fhir/ImagingStudy/some/$analyze?model=ct-lung-density'),
      await ask('GET', '/dicomweb/studies'),
      await ask('GET', '/worklist/api/rows'),
      await ask('GET', '/worklist/api/events'),
      await ask('GET', '/metrics'),
    ];
    expect(refused).toEqual(refused.map(() => 403));
  });
});

/** The routes as the server itself lists them, from a second start of the same code. */
function listRoutes(server: PrelimServer, databaseUrl: string): { method: string; path: string }[] {
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    PRELIM_DATA: server.folder,
    DATABASE_URL: databaseUrl,
    PORT: '0',
    HL7_PORT: '0',
    PRELIM_ROLES: 'api',
  };
  const { stdout, stderr, status } = spawnSync(process.execPath, ['dist/test/flow/list-routes.js'], {
    env,
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status !== 0) throw new Error(stderr);
  const above: string[] = [];
  return stdout.split('\n').flatMap((line) => {
    const match = /^([│ ]*)[├└]── (\S*?)(?: \(([A-Z, ]+)\))?$/.exec(line);
    if (!match) return [];
    const depth = (match[1] ?? '').length / 4;
    above.splice(depth, above.length, match[2] ?? '');
    return (match[3] ?? '')
      .split(', ')
      .filter(Boolean)
      .map((method) => ({ method, path: above.join('') }));
  });
}

/** Parameters and wildcards filled in. */
const samplesOf = (path: string): string[] => {
  const filled = path.replace(/:[A-Za-z]+(\([^)]*\))?/g, '1.2.3');
  return filled.includes('*')
    ? ['some', 'Patient', 'Patient/1', '$x'].map((rest) => filled.replace('*', rest))
    : [filled];
};

async function statusOf(server: PrelimServer, method: string, path: string): Promise<number> {
  return (await raw(server, method, path)).status;
}

const rawGet = (server: PrelimServer, path: string) => raw(server, 'GET', path);

/** As written: `fetch` would tidy the path first. */
function raw(server: PrelimServer, method: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: server.port, method, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}
