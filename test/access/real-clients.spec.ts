import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client as KitClient } from 'fhir-kit-client';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshServer } from '../fresh-server.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { describeWithPeer } from '../peers/required.ts';
import { askWith, assertion, makeKey, type TestKey } from './client-key.ts';
import { PASSWORD, putAccount, registerClient } from './smart-app.ts';

/** The SMART clients that others use, as published, against the server as it runs. */
let server: PrelimServer;
let client: ClientHost;
let key: TestKey;
let patient = '';
let practitioner = '';

beforeAll(async () => {
  client = await ClientHost.start();
  server = await freshServer({ LOG_LEVEL: 'error', AUTH_HOSTS: client.host });
  patient = await make({ resourceType: 'Patient', name: [{ family: 'Muster', given: ['Eva'] }] });
  await make({ resourceType: 'Patient', name: [{ family: 'Andere' }] });
  practitioner = await make({ resourceType: 'Practitioner', name: [{ family: 'Kern' }] });
  await putAccount(server, 'kern', ['clinician', 'radiologist'], `Practitioner/${practitioner}`);
  key = await makeKey('ES384');
  client.keys = [key.publicJwk];
});

afterAll(async () => {
  await server.close();
  await client.stop();
});

describe('fhir-kit-client as a backend service', () => {
  it('finds the token endpoint, proves itself by a key at its own URL, and reads', async () => {
    await registerClient(server, 'backend', { scope: 'system/Patient.rs', jwksUri: `${client.url}/jwks` });
    const kit = new KitClient({ baseUrl: `${server.url}/fhir` });
    const { tokenUrl } = (await kit.smartAuthMetadata()) as { tokenUrl?: URL };
    expect(tokenUrl?.href).toBe(`${server.url}/auth/token`);
    const { body } = await askWith(server, await assertion(server, key, 'backend'));
    kit.bearerToken = body.access_token;
    expect(await kit.read({ resourceType: 'Patient', id: patient })).toMatchObject({ id: patient });
    await expect(kit.read({ resourceType: 'Practitioner', id: practitioner })).rejects.toMatchObject({
      response: { status: 403 },
    });
  });
});

describeWithPeer('fhirclient in Chromium', findChromium() === null ? 'skipped: no Chromium' : null, () => {
  let browser: Browser;
  const scope = 'openid fhirUser launch launch/patient offline_access patient/*.rs';

  beforeAll(async () => {
    browser = await launchChromium();
    await registerClient(server, 'growth-chart', {
      name: 'Growth chart',
      scope,
      redirectUris: [`${client.url}/app.html`],
      public: true,
    });
  });
  afterAll(() => browser?.close());

  it('launches standalone: sign in, choose the patient, allow, read', async () => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${client.url}/launch.html?${standalone()}`);
    await signIn(page);
    await page.fill('input[name="name"]', 'Muster');
    await page.click('text=Search');
    await page.click('text=Muster, Eva');
    await page.getByText('Allow', { exact: true }).click();
    expect(await shownBy(page)).toEqual({
      patient,
      family: 'Muster',
      user: `Practitioner/${practitioner}`,
      refreshed: true,
      others: 1,
    });
  }, 60_000);

  it('launches from an EHR: the patient is the one that is open there', async () => {
    const announced = await server.ask(
      'POST',
      '/auth/launch',
      JSON.stringify({ patient, client_id: 'growth-chart' }),
      {
        'content-type': 'application/json',
      },
    );
    const { launch, iss } = announced.body;
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${client.url}/launch.html?${new URLSearchParams({ iss, launch })}`);
    await signIn(page);
    await page.getByText('Allow', { exact: true }).click();
    expect(await shownBy(page)).toMatchObject({ patient, family: 'Muster', others: 1 });
  }, 60_000);

  const standalone = () => new URLSearchParams({ iss: `${server.url}/fhir` });
});

async function signIn(page: Page): Promise<void> {
  await page.fill('input[name="name"]', 'kern');
  await page.fill('input[name="password"]', PASSWORD);
  await page.click('button:has-text("Sign in")');
}

/** What the app says it has read. */
async function shownBy(page: Page): Promise<unknown> {
  await page.waitForURL(/app\.html/, { timeout: 20_000 });
  await page.waitForSelector('#done', { timeout: 20_000 });
  return JSON.parse((await page.textContent('#done')) ?? 'null');
}

async function make(body: { resourceType: string; [element: string]: unknown }): Promise<string> {
  const answer = await server.ask('POST', `/fhir/${body.resourceType}`, body);
  expect(answer.status).toBe(201);
  return answer.body.id;
}

/** Where the app of somebody else lives: its pages, and the key set of a backend service. */
class ClientHost {
  keys: object[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<ClientHost> {
    const folder = join(createRequire(import.meta.url).resolve('fhirclient/package.json'), '../build');
    const library = await readFile(join(folder, 'fhir-client.js'));
    const server = createServer();
    const host = new ClientHost(server);
    const page = (script: string) =>
      `<!doctype html><title>App</title><script src="fhir-client.js"></script><script src="${script}"></script>`;
    server.on('request', (request, response) => {
      const path = new URL(request.url ?? '/', 'http://x').pathname;
      const send = (type: string, body: string | Buffer) =>
        response.writeHead(200, { 'content-type': type }).end(body);
      if (path === '/jwks') send('application/json', JSON.stringify({ keys: host.keys }));
      else if (path === '/launch.html') send('text/html', page('launch.js'));
      else if (path === '/app.html') send('text/html', page('app.js'));
      else if (path === '/fhir-client.js') send('text/javascript', library);
      else if (path === '/launch.js') send('text/javascript', LAUNCH);
      else if (path === '/app.js') send('text/javascript', APP);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return host;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

const LAUNCH = `
const asked = new URLSearchParams(location.search);
FHIR.oauth2.authorize({
  clientId: 'growth-chart',
  redirectUri: 'app.html',
  scope: (asked.has('launch') ? 'launch' : 'launch/patient') + ' openid fhirUser offline_access patient/*.rs',
  pkceMode: 'required',
});
`;
const APP = `
FHIR.oauth2.ready().then(async (client) => {
  const patient = await client.patient.read();
  const others = await client.request('Patient');
  const before = client.state.tokenResponse.access_token;
  await client.refresh();
  await client.patient.read();
  const shown = document.createElement('p');
  shown.id = 'done';
  shown.textContent = JSON.stringify({
    patient: client.patient.id,
    family: patient.name[0].family,
    user: client.user.fhirUser.split('/').slice(-2).join('/'),
    refreshed: client.state.tokenResponse.access_token !== before,
    others: (others.entry || []).length,
  });
  document.body.append(shown);
}).catch((error) => {
  const shown = document.createElement('p');
  shown.id = 'done';
  shown.textContent = JSON.stringify({ error: String(error) });
  document.body.append(shown);
});
`;
