import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PASSWORD, putAccount } from '../access/smart-app.ts';
import { freshServer } from '../fresh-server.ts';
import { launchChromium } from '../peers/chromium.ts';
import { EhrPeer } from '../peers/ehr.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { describeWithPeer } from '../peers/required.ts';
import { NO_CHROMIUM } from './page-world.ts';

/** The pages as SMART apps: their own sign-in, and the launch of the worklist out of an EHR, in a frame of it. */
describeWithPeer('the browser pages sign people in', NO_CHROMIUM, () => {
  let server: PrelimServer;
  let browser: Browser;
  let ehr: Server;
  let stranger: Server;
  let foreign: EhrPeer;
  let patient = '';

  beforeAll(async () => {
    [ehr, stranger, foreign] = await Promise.all([framing(), framing(), EhrPeer.start()]);
    server = await freshServer({
      LOG_LEVEL: 'error',
      FRAME_ANCESTORS: `${urlOf(ehr)},${foreign.url}`,
      AUTH_EHRS: JSON.stringify([foreign.settings({ everybody: ['radiologist'] })]),
    });
    browser = await launchChromium();
    const practitioner = await server.ask('POST', '/fhir/Practitioner', { resourceType: 'Practitioner' });
    const made = await server.ask('POST', '/fhir/Patient', {
      resourceType: 'Patient',
      identifier: [{ system: 'urn:ehr:mrn', value: '4711' }],
      name: [{ family: 'Muster' }],
    });
    patient = made.body.id;
    await putAccount(server, 'tran', ['operator']);
    await putAccount(server, 'kern', ['radiologist'], `Practitioner/${practitioner.body.id}`);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await foreign?.stop();
    for (const one of [ehr, stranger]) one?.close();
  });

  it('with an account: no consent, no token that a script could take, a reload goes on, sign-out ends it in every tab', async () => {
    const page = await newPage();
    const tokens = tokensSeenBy(page);
    await page.goto(`${server.url}/worklist/`);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await signIn(page);
    await page.getByText('No studies yet').waitFor();
    expect(page.url()).toBe(`${server.url}/worklist/`);
    await page.reload();
    await page.getByText('No studies yet').waitFor();
    expect(await tokens()).toEqual([]);
    expect(await page.evaluate(EVERYTHING_A_SCRIPT_CAN_READ)).not.toMatch(/eyJ|token/i);
    const [cookie] = (await page.context().cookies()).filter(({ name }) => name === 'prelim_pages');
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' });
    const other = await page.context().newPage();
    await other.goto(`${server.url}/worklist/`);
    await other.getByRole('button', { name: 'Use my account' }).click();
    await other.getByText('No studies yet').waitFor();
    const halves = { cookie: `prelim_pages=${cookie?.value}`, 'x-prelim-tab': await tabOf(page) };
    const otherHalves = { ...halves, 'x-prelim-tab': await tabOf(other) };
    expect([await rows(halves), await rows(otherHalves)]).toEqual([200, 200]);
    const signedOut = page.waitForResponse(/auth\/sign-out/);
    await page.getByRole('button', { name: 'Sign out' }).click();
    expect((await signedOut).status()).toBe(204);
    expect([await rows(halves), await rows(otherHalves)]).toEqual([401, 401]);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await page.getByLabel('Password').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(1);
  });

  it('with a session that is the browser’s and the tab’s together, and changes nothing for another site', async () => {
    const page = await newPage();
    await page.goto(`${server.url}/operator/#/dead`);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await signIn(page, 'tran');
    await page.getByText('Nothing waits for a person').waitFor();
    const [{ value = '' } = {}] = (await page.context().cookies()).filter(
      ({ name }) => name === 'prelim_pages',
    );
    const cookie = `prelim_pages=${value}`;
    const tab = { 'x-prelim-tab': await tabOf(page) };
    const strange = { 'x-prelim-tab': 'A'.repeat(43) };
    const ask = async (headers: Record<string, string>) =>
      (await withoutToken(server, 'GET', '/hl7/dead', headers)).status;
    expect(await ask({ cookie, ...tab })).toBe(200);
    for (const half of [{ cookie }, tab, { cookie, ...strange }, { cookie: `${cookie}x`, ...tab }])
      expect(await ask(half)).toBe(401);
    // A change needs our origin and our header beside both.
    const change = async (headers: Record<string, string>) =>
      (await withoutToken(server, 'POST', '/hl7/holds', { cookie, ...tab, ...headers }, '{}')).status;
    expect(await change({ origin: server.url, 'x-prelim-csrf': '1' })).toBe(400);
    expect(await change({ 'x-prelim-csrf': '1' })).toBe(403);
    expect(await change({ origin: server.url })).toBe(403);
    expect(await change({ origin: urlOf(stranger), 'x-prelim-csrf': '1' })).toBe(403);
    // A page of somebody else in the same browser can neither read nor change, nor put its own sign-in there.
    await page.goto(urlOf(stranger));
    for (const path of ['/fhir/Task', '/hl7/holds', '/auth/page-session'])
      for (const method of ['GET', 'POST'])
        expect(
          await page.evaluate(
            `fetch('${server.url}${path}', {method: '${method}', credentials: 'include', headers: {'x-prelim-tab': '${tab['x-prelim-tab']}', 'x-prelim-csrf': '1'}}).then((answer) => answer.status, () => 'refused')`,
          ),
        ).toBe('refused');
  });

  it('gives its code no token anywhere: a script that got in cannot carry one away', async () => {
    const page = await newPage();
    const codes: string[] = [];
    await page.route(/page-session/, async (route) => {
      codes.push(route.request().postData() ?? '');
      await route.abort();
    });
    await page.goto(`${server.url}/worklist/`);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await signIn(page);
    await expect.poll(() => codes.length).toBe(1);
    const form = `grant_type=authorization_code&${codes[0]}`;
    const traded = await withoutToken(server, 'POST', '/auth/token', FORM, form);
    expect([traded.status, traded.body.error]).toEqual([400, 'unauthorized_client']);
    const app = form.replace('client_id=worklist', 'client_id=local');
    const elsewhere = { ...FORM, origin: server.url, 'x-prelim-csrf': '1' };
    expect((await withoutToken(server, 'POST', '/auth/page-session', elsewhere, app)).status).toBe(400);
    expect((await withoutToken(server, 'POST', '/auth/page-session', FORM, form)).status).toBe(403);
    const session = await withoutToken(server, 'POST', '/auth/page-session', elsewhere, form);
    expect([session.status, Object.keys(session.body)]).toEqual([201, ['tab']]);
    expect(session.headers.get('set-cookie')).toMatch(
      /^prelim_pages=.*; Path=\/; .*HttpOnly; SameSite=Strict$/,
    );
  });

  it('on the operator page with rights of its own, at the view that was asked for; the worklist asks again', async () => {
    const page = await newPage();
    await page.goto(`${server.url}/operator/#/dead`);
    await page.getByRole('button', { name: 'Use my account' }).press('Enter');
    await signIn(page, 'tran');
    await page.getByText('Nothing waits for a person').waitFor();
    expect(page.url()).toBe(`${server.url}/operator/#/dead`);
    const status = (method: string, path: string): Promise<number> =>
      page.evaluate(
        `fetch('${path}', {method: '${method}', headers: {'x-prelim-tab': JSON.parse(sessionStorage.getItem('prelim.account.operator')).tab, 'x-prelim-csrf': '1', 'content-type': 'application/json'}, ${method === 'POST' ? "body: '{}'" : ''}}).then(({status}) => status)`,
      );
    // It may act, and it may not read what an operator has no business with, nor what this page does not ask for.
    expect(await status('POST', '/hl7/holds')).toBe(400);
    expect(await status('GET', '/fhir/Patient')).toBe(403);
    expect(await status('GET', '/fhir/Device')).toBe(403);
    await page.getByRole('link', { name: 'Worklist' }).click();
    await page
      .getByText('it may not see the worklist. That takes the role clinician or radiologist')
      .waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  it('launched in a frame of the EHR: the patient that is open there, and no other', async () => {
    const page = await newPage();
    const frame = await launchIn(page, ehr, `${server.url}/fhir`);
    await signIn(frame);
    await frame.getByText('Open in the EHR: a patient without analyses').waitFor();
  });

  it('launched in a frame of an EHR with a sign-in of its own: nobody is asked again, and it is the same patient, by number', async () => {
    foreign.patients.set('e1', {
      resourceType: 'Patient',
      id: 'e1',
      identifier: [
        { system: 'urn:other', value: '1' },
        { system: 'urn:ehr:mrn', value: '4711' },
      ],
    });
    const page = await newPage();
    const tokens = tokensSeenBy(page);
    const launch = new URLSearchParams({ iss: foreign.iss, launch: foreign.launch('e1') });
    await page.goto(`${foreign.url}/?${new URLSearchParams({ show: `${server.url}/worklist/?${launch}` })}`);
    await page.frameLocator('iframe').getByText('Open in the EHR: a patient without analyses').waitFor();
    expect(await tokens()).toEqual([]);
    // The handle served once.
    await page.reload();
    await expect.poll(() => foreign.asked.filter((path) => path === '/authorize').length).toBe(2);
    expect(await page.frameLocator('iframe').getByText('Open in the EHR').count()).toBe(0);
  });

  it('in a frame of anybody else: not shown at all', async () => {
    const page = await newPage();
    const refused: string[] = [];
    page.on('console', (message) => refused.push(message.text()));
    const frame = await launchIn(page, stranger, `${server.url}/fhir`);
    await expect.poll(() => refused.some((text) => text.includes('frame-ancestors'))).toBe(true);
    expect(await frame.locator('#page').count()).toBe(0);
  });

  it('launched for another server, or with an answer to another question: refused, and nothing is asked of that server', async () => {
    const page = await newPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${server.url}/worklist/?iss=${encodeURIComponent(`${urlOf(stranger)}/fhir`)}&launch=x`);
    await page.getByText('The EHR opened this page for another server').waitFor();
    expect(asked.filter((url) => url.startsWith(urlOf(stranger)))).toEqual([]);
    await page.goto(`${server.url}/worklist/?code=x&state=y&iss=${encodeURIComponent(server.url)}`);
    await page.getByText('The sign-in was begun in another tab').waitFor();
    expect(page.url()).toBe(`${server.url}/worklist/`);
  });

  const rows = async (headers: Record<string, string>) =>
    (await withoutToken(server, 'GET', '/worklist/api/rows', headers)).status;

  const newPage = async () => (await browser.newContext()).newPage();

  async function launchIn(page: Page, host: Server, iss: string): Promise<FrameLocator> {
    const body = JSON.stringify({ patient, client_id: 'worklist' });
    const announced = await server.ask('POST', '/auth/launch', body, {
      'content-type': 'application/json',
    });
    const launch = `${server.url}/worklist/?${new URLSearchParams({ iss, launch: announced.body.launch })}`;
    await page.goto(`${urlOf(host)}/?${new URLSearchParams({ show: launch })}`);
    return page.frameLocator('iframe');
  }
});

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** The tab's half of its session. */
const tabOf = (page: Page): Promise<string> =>
  page.evaluate(
    "JSON.parse(sessionStorage.getItem(Object.keys(sessionStorage).find((key) => key.startsWith('prelim.account')))).tab",
  );

const EVERYTHING_A_SCRIPT_CAN_READ =
  'JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href, document.documentElement.outerHTML])';

/** What looks like a token in any address, request or answer of a page. */
function tokensSeenBy(page: Page): () => Promise<string[]> {
  const seen: Promise<string>[] = [];
  page.on('framenavigated', (frame) => seen.push(Promise.resolve(frame.url())));
  page.on('request', (request) =>
    seen.push(
      request.allHeaders().then(
        (headers) => String(headers['authorization'] ?? ''),
        () => '',
      ),
    ),
  );
  page.on('response', (response) => {
    if (response.url().includes('/auth/')) seen.push(response.text().catch(() => ''));
  });
  return async () => (await Promise.all(seen)).filter((text) => /eyJ|Bearer|access_token/.test(text));
}

/** As `ask`, with nothing but these headers to prove who asks. */
async function withoutToken(
  { url }: PrelimServer,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | null = null,
) {
  const type = { 'content-type': 'application/json', ...headers };
  const answer = await fetch(url + path, { method, headers: body === null ? headers : type, body });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) };
}

async function signIn(page: Page | FrameLocator, name = 'kern'): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** A page of somebody else that shows an address in a frame. */
async function framing(): Promise<Server> {
  const server = createServer((request, response) => {
    const show = new URL(request.url ?? '/', 'http://x').searchParams.get('show') ?? '';
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(
      `<!doctype html><title>EHR</title><iframe width="900" height="600" src="${show.replaceAll('&', '&amp;')}"></iframe>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
