import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PASSWORD, putAccount } from '../access/smart-app.ts';
import { freshServer } from '../fresh-server.ts';
import { launchChromium } from '../peers/chromium.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { describeWithPeer } from '../peers/required.ts';
import { analysisResources } from '../worklist/records.ts';
import { NO_CHROMIUM } from './page-world.ts';

/** The pages as SMART apps: their own sign-in, and the launch of the worklist out of an EHR, in a frame of it. */
describeWithPeer('the browser pages sign people in', NO_CHROMIUM, () => {
  let server: PrelimServer;
  let browser: Browser;
  let ehr: Server;
  let stranger: Server;
  let patient = '';

  beforeAll(async () => {
    [ehr, stranger] = await Promise.all([framing(), framing()]);
    server = await freshServer({ LOG_LEVEL: 'error', FRAME_ANCESTORS: urlOf(ehr) });
    browser = await launchChromium();
    const practitioner = await server.ask('POST', '/fhir/Practitioner', { resourceType: 'Practitioner' });
    const made = await server.ask('POST', '/fhir/Patient', {
      resourceType: 'Patient',
      name: [{ family: 'Muster' }],
    });
    patient = made.body.id;
    await putAccount(server, 'tran', ['operator']);
    await putAccount(server, 'kern', ['radiologist'], `Practitioner/${practitioner.body.id}`);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    for (const one of [ehr, stranger]) one?.close();
  });

  it('with an account: no consent, no token in any address, a reload goes on, sign-out ends it on the server too', async () => {
    const page = await newPage();
    const addresses: string[] = [];
    page.on('framenavigated', (frame) => addresses.push(frame.url()));
    await page.goto(`${server.url}/worklist/`);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await signIn(page);
    await page.getByText('No studies yet').waitFor();
    expect(page.url()).toBe(`${server.url}/worklist/`);
    await page.reload();
    await page.getByText('No studies yet').waitFor();
    const token = await tokenIn(page, 'worklist');
    expect(addresses.filter((address) => address.includes(token))).toEqual([]);
    const revoked = page.waitForResponse(/auth\/revoke/);
    const signedOut = page.waitForResponse(/auth\/sign-out/);
    await page.getByRole('button', { name: 'Sign out' }).click();
    expect([(await revoked).status(), (await signedOut).status()]).toEqual([200, 204]);
    expect(
      (await server.ask('GET', '/worklist/api/rows', undefined, { authorization: `Bearer ${token}` })).status,
    ).toBe(401);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await page.getByLabel('Password').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(1);
  });

  it('with a token that has ended: the account goes on with the next one, unseen', async () => {
    const page = await newPage();
    await page.goto(`${server.url}/worklist/`);
    await page.getByRole('button', { name: 'Use my account' }).click();
    await signIn(page);
    await page.getByText('No studies yet').waitFor();
    for (const one of analysisResources({
      id: 'one',
      family: 'Early',
      started: new Date(),
      status: 'in-progress',
    })) {
      const put = await server.ask('PUT', `/fhir/${one.resourceType}/${one.id}`, one);
      expect(put.status, put.text).toBe(201);
    }
    await page.getByLabel('Filter the list').fill('early');
    const first = await tokenIn(page, 'worklist');
    await page.evaluate(
      'sessionStorage.setItem(\'prelim.account.worklist\', sessionStorage.getItem(\'prelim.account.worklist\').replace(/"token":"[^"]+/, \'"token":"ended\'))',
    );
    expect(await tokenIn(page, 'worklist')).toBe('ended');
    const asked: number[] = [];
    page.on('response', (response) => {
      if (response.url().endsWith('/auth/token')) asked.push(response.status());
    });
    await page.getByRole('link', { name: 'FHIR Task' }).click();
    await page.getByText('"resourceType": "Task"').waitFor();
    // Once, and the page is as it was.
    expect(asked).toEqual([200]);
    expect(await page.getByLabel('Filter the list').inputValue()).toBe('early');
    expect(['ended', first]).not.toContain(await tokenIn(page, 'worklist'));
  });

  it('on the operator page with rights of its own, at the view that was asked for; the worklist asks again', async () => {
    const page = await newPage();
    await page.goto(`${server.url}/operator/#/dead`);
    await page.getByRole('button', { name: 'Use my account' }).press('Enter');
    await signIn(page, 'tran');
    await page.getByText('Nothing waits for a person').waitFor();
    expect(page.url()).toBe(`${server.url}/operator/#/dead`);
    const authorization = `Bearer ${await tokenIn(page, 'operator')}`;
    const status = async (method: string, path: string, body?: object) =>
      (await server.ask(method, path, body, { authorization })).status;
    // It may act, and it may not read what an operator has no business with, nor what this page does not ask for.
    expect(await status('POST', '/hl7/holds', {})).toBe(400);
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

/** The token of the account that is signed in on a page. */
const tokenIn = (page: Page, client: string): Promise<string> =>
  page.evaluate(`JSON.parse(sessionStorage.getItem('prelim.account.${client}')).token`);

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
