import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { freshDatabaseUrl } from '../database.ts';
import { until } from '../flow/flow-world.ts';
import { PrelimServer } from '../peers/prelim-server.ts';
import { Subscriber } from '../peers/subscriber.ts';
import { client, formsOf, STUB_RESOLVER, subscription } from './outbound-forms.ts';

let folder: string;
let sql: pg.Client;
let server: PrelimServer;
let listener: Subscriber;
/** Takes any connection, on the port that the forms name; a packet here is the failure. */
let trap: NetServer;
let trapped = 0;
let trapPort: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-outbound-'));
  await writeFile(join(folder, 'stub.mjs'), STUB_RESOLVER);
  await writeFile(join(folder, 'log'), '');
  listener = await Subscriber.start();
  trap = createServer((socket) => {
    trapped += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => trap.listen(0, '0.0.0.0', resolve));
  trapPort = (trap.address() as AddressInfo).port;
  await writeFile(
    join(folder, 'names'),
    JSON.stringify({
      'local.test': ['127.0.0.1'],
      'inner.test': ['::ffff:127.0.0.1'],
      'cloud.test': ['169.254.169.254'],
      // 192.0.2.0/24 is for documentation: nobody answers there.
      'rebind.test': ['192.0.2.1', '127.0.0.1'],
    }),
  );
  const url = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  sql = new pg.Client({ connectionString: url });
  await sql.connect();
  server = await PrelimServer.start({
    DATABASE_URL: url,
    NODE_OPTIONS: `--import ${join(folder, 'stub.mjs')}`,
    STUB_NAMES: join(folder, 'names'),
    STUB_LOG: join(folder, 'log'),
    AUTH_HOSTS: [
      'ehr.example',
      ...['local.test', 'inner.test', 'cloud.test'].map((name) => `${name}:${trapPort}`),
    ].join(','),
    AUTH_NETWORKS: '127.0.0.0/8,169.254.0.0/16,10.0.0.0/8',
    SUBSCRIPTION_HOSTS: [
      'ehr.example',
      listener.host,
      ...['local.test', 'inner.test', 'cloud.test', 'rebind.test'].map((name) => `${name}:${trapPort}`),
    ].join(','),
    // Even what an operator lists by range does not open this machine or the cloud's credentials to a name.
    SUBSCRIPTION_NETWORKS: '127.0.0.0/8,169.254.0.0/16,10.0.0.0/8',
  });
});
afterAll(async () => {
  await server?.close();
  await sql?.end();
  await listener.goDown();
  trap.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  trapped = 0;
  listener.status = 200;
  listener.behave = null;
});

const made: string[] = [];
afterEach(async () => {
  for (const id of made.splice(0)) await server.ask('DELETE', `/fhir/Subscription/${id}`);
});
async function follow(endpoint: string, channel: object = {}): Promise<string> {
  const { status, body } = await server.ask('POST', '/fhir/Subscription', subscription(endpoint, channel));
  expect(status).toBe(201);
  made.push(body.id);
  await until(
    async () => (await server.ask('GET', `/fhir/Subscription/${body.id}`)).body.status === 'active',
  );
  return body.id;
}
const write = (id: string) =>
  server.ask('PUT', `/fhir/DiagnosticReport/${id}`, {
    resourceType: 'DiagnosticReport',
    id,
    status: 'preliminary',
    code: { text: 'x' },
  });
const delivery = async (id: string): Promise<{ delivered: number; failures: number }> => {
  const { rows } = await sql.query('SELECT delivered, failures FROM subscription_delivery WHERE id = $1', [
    id,
  ]);
  return { delivered: Number(rows[0]?.delivered ?? 0), failures: Number(rows[0]?.failures ?? 0) };
};

describe('T1 addresses that are not to be called', () => {
  it('T1 a Subscription with any of them is 4xx at create and at update, and no packet is sent', async () => {
    const wrong: string[] = [];
    for (const endpoint of formsOf(trapPort)) {
      const made = await server.ask('POST', '/fhir/Subscription', subscription(endpoint));
      const put = await server.ask('PUT', '/fhir/Subscription/t1', { ...subscription(endpoint), id: 't1' });
      for (const { status, text } of [made, put]) {
        if (status < 400 || status >= 500) wrong.push(`${endpoint}: ${status}`);
        // The refusal does not repeat what was sent.
        if (text.includes(endpoint)) wrong.push(`${endpoint} is repeated`);
      }
    }
    expect(wrong).toEqual([]);
    await write('t1');
    expect(trapped).toBe(0);
  });

  it('T1 a client whose key set lies at any of them is not registered, and no packet is sent', async () => {
    const wrong: string[] = [];
    for (const jwksUri of formsOf(trapPort)) {
      const { status, text } = await server.ask('POST', '/fhir/Basic', client('t1', jwksUri));
      if (status < 400 || status >= 500) wrong.push(`${jwksUri}: ${status}`);
      if (text.includes(jwksUri)) wrong.push(`${jwksUri} is repeated`);
    }
    expect(wrong).toEqual([]);
    expect(trapped).toBe(0);
  });

  it('T1 a launch by an EHR at any of them is refused, and no packet is sent', async () => {
    const wrong: string[] = [];
    for (const iss of formsOf(trapPort)) {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'worklist',
        redirect_uri: `${server.url}/worklist/`,
        scope: 'launch user/*.rs',
        state: 's',
        aud: `${server.url}/fhir`,
        code_challenge: 'c'.repeat(43),
        code_challenge_method: 'S256',
        ehr: iss,
        launch: 'x',
      });
      const answer = await fetch(`${server.url}/auth/authorize?${query}`, { redirect: 'manual' });
      const to = new URL(answer.headers.get('location') ?? 'none:');
      if (answer.status !== 303 || to.searchParams.get('error') !== 'invalid_target')
        wrong.push(`${iss}: ${answer.status} ${to}`);
    }
    expect(wrong).toEqual([]);
    expect(trapped).toBe(0);
  });

  it.each(['local.test', 'inner.test', 'cloud.test'])(
    'T1 a key set at %s, which is listed and leads to this machine, is not fetched when the client asks for a token',
    async (name) => {
      const id = `keys-at-${name}`;
      const made = await server.ask('POST', '/fhir/Basic', client(id, `https://${name}:${trapPort}/jwks`));
      expect(made.status).toBe(201);
      const { privateKey } = await generateKeyPair('ES384');
      const assertion = await new SignJWT({ jti: `j-${name}` })
        .setProtectedHeader({ alg: 'ES384', kid: 'k', typ: 'JWT' })
        .setIssuer(id)
        .setSubject(id)
        .setAudience(`${server.url}/auth/token`)
        .setIssuedAt()
        .setExpirationTime('2m')
        .sign(privateKey);
      const form = new URLSearchParams({
        grant_type: 'client_credentials',
        scope: 'system/Patient.rs',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      });
      const { status, body } = await server.ask('POST', '/auth/token', form.toString(), {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: '',
      });
      expect([400, 401]).toContain(status);
      expect(body.error).toBe('invalid_client');
      const asked = (await readFile(join(folder, 'log'), 'utf8')).split('\n');
      expect(asked).toContain(name);
      expect(trapped).toBe(0);
    },
  );

  it.each([
    'file:///etc/passwd',
    'gopher://127.0.0.1/_x',
    'http://user@pacs.example/',
    'ftp://pacs.example/',
    'not an address',
  ])(
    'T1 the PACS is the operator’s to name, and %s is no address of one: the start is refused without repeating it',
    (url) => {
      const start = () => readSettings({ DICOMWEB_URL: url });
      expect(start).toThrow(/DICOMWEB_URL/);
      expect(start).not.toThrow(url);
    },
  );

  it('T1 addresses in other resources are kept and never called', async () => {
    for (const [n, address] of formsOf(trapPort).entries()) {
      const endpoint = {
        resourceType: 'Endpoint',
        id: `e${n}`,
        status: 'active',
        connectionType: {
          system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
          code: 'dicom-wado-rs',
        },
        payloadType: [{ text: 'DICOM' }],
        address,
      };
      const { status } = await server.ask('PUT', `/fhir/Endpoint/e${n}`, endpoint);
      expect([201, 400, 422]).toContain(status);
    }
    const report = {
      resourceType: 'DiagnosticReport',
      id: 'links',
      status: 'preliminary',
      code: { text: 'x' },
    };
    await server.ask('PUT', '/fhir/DiagnosticReport/links', {
      ...report,
      presentedForm: [{ url: `http://127.0.0.1:${trapPort}/form` }],
      basedOn: [{ reference: `http://127.0.0.1:${trapPort}/ServiceRequest/1` }],
    });
    await server.ask('GET', '/fhir/DiagnosticReport?_id=links&_include=*');
    await server.ask('GET', '/fhir/DiagnosticReport?_id=links&_include=DiagnosticReport:based-on');
    expect(trapped).toBe(0);
  });

  it.each([
    'file:///etc/passwd',
    'gopher://127.0.0.1/',
    'ftp://pacs.example/',
    'http://user:pw@pacs.example/',
    'javascript:1',
  ])(
    'T1 a PACS at %s keeps the server from starting, and the reason does not repeat it',
    async (address) => {
      const other = await PrelimServer.make({ DICOMWEB_URL: address, PRELIM_ROLES: 'api' });
      const { code, said } = await other.startAndEnd();
      await other.close();
      expect(code).toBe(1);
      expect(said).toContain('DICOMWEB_URL');
      expect(said).not.toContain(address);
    },
    20_000,
  );
});

describe('T2 a name that leads elsewhere the second time', () => {
  it.each(['local.test', 'inner.test', 'cloud.test'])(
    'T2 %s is listed and leads to this machine or to the cloud’s own address: nothing is sent',
    async (name) => {
      const id = await follow(`http://${name}:${trapPort}/hook`);
      await write(`t2-${name.split('.')[0]}`);
      await until(async () => (await delivery(id)).failures > 0);
      expect(trapped).toBe(0);
    },
  );

  it('T2 an answer that is public first and loopback then: only the first is used, and loopback never', async () => {
    const id = await follow(`http://rebind.test:${trapPort}/hook`);
    await write('t2-rebind');
    // It is asked again at each attempt; each is held against the rules anew.
    await until(async () => (await delivery(id)).failures > 1, 25_000);
    const asked = (await readFile(join(folder, 'log'), 'utf8'))
      .split('\n')
      .filter((name) => name === 'rebind.test');
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(trapped).toBe(0);
  }, 40_000);
});

describe('T3 listeners that behave badly', () => {
  it('T3 307 is a failure, and the body does not go to where it points', async () => {
    const elsewhere = await Subscriber.start();
    listener.behave = (_, response) => {
      response.writeHead(307, { location: `${elsewhere.url}/elsewhere` }).end();
    };
    const id = await follow(`${listener.url}/moved`, { payload: 'application/fhir+json' });
    await write('t3-moved');
    await until(async () => (await delivery(id)).failures > 0);
    expect(elsewhere.deliveries).toEqual([]);
    await elsewhere.goDown();
  });

  it('T3 a byte in half a second is cut at ten seconds, and others are told meanwhile', async () => {
    const id = await follow(`${listener.url}/drip`);
    const other = await follow(`${listener.url}/well-behaved`);
    listener.behave = ({ path }, response) => {
      if (path !== '/drip') return void response.writeHead(200).end();
      response.socket?.write('HTTP/1.1 200 OK\r\nX-Drip: ');
      const timer = setInterval(() => response.socket?.write('h'), 500);
      response.socket?.on('close', () => clearInterval(timer));
    };
    const began = Date.now();
    await write('t3-drip');
    await until(async () => (await delivery(other)).delivered > 0, 5_000);
    expect(Date.now() - began).toBeLessThan(5_000);
    await until(async () => (await delivery(id)).failures > 0, 15_000);
    expect(Date.now() - began).toBeGreaterThan(9_000);
    expect(Date.now() - began).toBeLessThan(14_000);
  }, 40_000);

  it('T3 a gigabyte as an answer is cut near its beginning', async () => {
    let sent = 0;
    listener.behave = (_, response) => {
      response.writeHead(200);
      const pour = () => {
        while (!response.destroyed && sent < 1e9 && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.on('drain', pour).on('error', () => undefined);
      pour();
    };
    const id = await follow(`${listener.url}/flood`);
    await write('t3-flood');
    await until(async () => (await delivery(id)).delivered > 0);
    // 64 kB are read; the rest is what lies in the sockets between two processes of one machine.
    expect(sent).toBeLessThan(20_000_000);
  });
});

describe('T4 headers and credentials', () => {
  it.each([
    'X: a\r\nHost: evil',
    'X: a\nHost: evil',
    'X: a\rY: b',
    'X\r\n: a',
    'X a: b',
    ': a',
    'X: \u0000',
    'X: é',
    'no colon',
  ])('T4 the header %j is 4xx', async (header) => {
    const answer = await server.ask(
      'POST',
      '/fhir/Subscription',
      subscription(`${listener.url}/h`, { header: [header] }),
    );
    expect([400, 422]).toContain(answer.status);
  });

  it('T4 a header cannot become the connection’s own business', async () => {
    await follow(`${listener.url}/own`, {
      header: [
        'Host: evil.example',
        'Content-Length: 5',
        'Transfer-Encoding: chunked',
        'Cookie: a=b',
        'X-Kept: yes',
        'Authorization: Bearer theirs',
      ],
    });
    await write('t4-own');
    await until(() => listener.deliveries.some(({ path }) => path === '/own'));
    const headers = listener.deliveries.find(({ path }) => path === '/own')?.headers ?? {};
    expect(headers['host']).toBe(listener.host);
    expect(headers['cookie']).toBeUndefined();
    expect(headers['transfer-encoding']).toBeUndefined();
    expect([headers['x-kept'], headers['authorization']]).toEqual(['yes', 'Bearer theirs']);
  });

  it('T4 the credential of the PACS goes to its scheme, host and port, and nowhere that an answer points', async () => {
    const elsewhere = await listen(() => [200, '[]']);
    let redirects = false;
    const pacs = await listen((path) => {
      if (redirects) return [307, '', { location: `http://127.0.0.1:${elsewhere.port}${path}` }];
      const row = {
        '00080020': { vr: 'DA', Value: [new Date().toISOString().slice(0, 10).replaceAll('-', '')] },
        '0020000D': { vr: 'UI', Value: ['1.2.3'] },
        '0020000E': { vr: 'UI', Value: ['1.2.3.1'] },
        '00080018': { vr: 'UI', Value: ['1.2.3.1.1'] },
        '00201208': { vr: 'IS', Value: [1] },
        '00081190': { vr: 'UR', Value: [`http://127.0.0.1:${elsewhere.port}/studies/1.2.3`] },
      };
      return [200, JSON.stringify([row])];
    });
    const other = await PrelimServer.start({
      DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
      DICOMWEB_URL: `http://127.0.0.1:${pacs.port}/pacs`,
      DICOMWEB_TOKEN: 'the-token-of-the-pacs',
    });
    await until(() => pacs.seen.some(({ path }) => path.includes('1.2.3')));
    redirects = true;
    const before = pacs.seen.length;
    await until(() => pacs.seen.length > before + 3);
    expect(pacs.seen.every(({ headers }) => headers.authorization === 'Bearer the-token-of-the-pacs')).toBe(
      true,
    );
    expect(elsewhere.seen).toEqual([]);
    expect(other.output()).not.toContain('the-token-of-the-pacs');
    await other.close();
    for (const peer of [pacs, elsewhere]) await peer.close();
  }, 40_000);
});

interface Listening {
  readonly port: number;
  readonly seen: { path: string; headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

async function listen(
  answer: (path: string) => readonly [number, string, Record<string, string>?],
): Promise<Listening> {
  const seen: Listening['seen'] = [];
  const http: Server = createHttpServer((request, response) => {
    seen.push({ path: request.url ?? '', headers: request.headers });
    const [status, body, headers = {}] = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/dicom+json', ...headers }).end(body);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    port: (http.address() as AddressInfo).port,
    seen,
    close: async () => {
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}
