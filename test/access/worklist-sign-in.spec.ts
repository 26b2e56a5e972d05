import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { PrelimServer } from '../peers/prelim-server.ts';
import { describeWithPeer } from '../peers/required.ts';
import { PASSWORD, putAccount } from './smart-app.ts';

/** The worklist page as a SMART app: its own sign-in, and the launch out of an EHR, in a frame of it. */
describeWithPeer(
  'the worklist page signs readers in',
  findChromium() === null ? 'skipped: no Chromium' : null,
  () => {
    let server: PrelimServer;
    let browser: Browser;
    let ehr: Server;
    let stranger: Server;
    let patient = '';

    beforeAll(async () => {
      [ehr, stranger] = await Promise.all([framing(), framing()]);
      server = await PrelimServer.start({ LOG_LEVEL: 'error', FRAME_ANCESTORS: urlOf(ehr) });
      browser = await launchChromium();
      const practitioner = await server.ask('POST', '/fhir/Practitioner', { resourceType: 'Practitioner' });
      const made = await server.ask('POST', '/fhir/Patient', {
        resourceType: 'Patient',
        name: [{ family: 'Muster' }],
      });
      patient = made.body.id;
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
      const token = String(await page.evaluate("sessionStorage.getItem('prelim.worklist.token')"));
      expect(addresses.filter((address) => address.includes(token))).toEqual([]);
      const revoked = page.waitForResponse(/auth\/revoke/);
      const signedOut = page.waitForResponse(/auth\/sign-out/);
      await page.getByRole('button', { name: 'Sign out' }).click();
      expect([(await revoked).status(), (await signedOut).status()]).toEqual([200, 204]);
      expect(
        (await server.ask('GET', '/worklist/api/rows', undefined, { authorization: `Bearer ${token}` }))
          .status,
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
      await page.evaluate("sessionStorage.setItem('prelim.worklist.token', 'ended')");
      const refreshed = page.waitForResponse(/auth\/token/);
      await page.reload();
      expect((await refreshed).status()).toBe(200);
      await page.getByText('No studies yet').waitFor();
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
      await page.goto(
        `${server.url}/worklist/?iss=${encodeURIComponent(`${urlOf(stranger)}/fhir`)}&launch=x`,
      );
      await page.getByText('The EHR opened this worklist for another server').waitFor();
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
  },
);

async function signIn(page: Page | FrameLocator): Promise<void> {
  await page.getByLabel('Name').fill('kern');
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
