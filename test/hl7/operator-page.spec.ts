import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../database.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { measureText, type TextMeasure } from '../worklist/measure-text.ts';
import {
  logInbound,
  logOutbound,
  OPERATOR_SCOPE,
  type OperatorServer,
  ORDER,
  PRIVILEGED_SCOPE,
  startOperator,
} from './operator-server.ts';

const chromium = findChromium();
const DESTINATION = 'ris.example:2576';

describe.skipIf(chromium === null)(
  chromium === null ? 'skipped: no Chromium' : 'the operator page in a real browser',
  () => {
    let folder: string;
    let fresh: FreshDatabase;
    let server: OperatorServer;
    let browser: Browser;
    let page: Page;
    /** Everything that must never happen on the page. */
    let faults: string[];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'prelim-operator-'));
      const configFile = fileURLToPath(new URL('../../vite.operator.config.ts', import.meta.url));
      await build({ configFile, logLevel: 'error', build: { outDir: join(folder, 'page') } });
      fresh = await freshDatabase();
      server = await startOperator(fresh.database, {
        keys: folder,
        page: join(folder, 'page'),
        settings: { RIS_URL: `mllp://${DESTINATION}` },
      });
      browser = await launchChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await server?.stop();
      await fresh?.close();
      await rm(folder, { recursive: true, force: true });
    });
    afterEach(async () => {
      await page.close();
      await fresh.database.transaction(async (tx) => {
        await tx.run({ text: `SELECT set_config('prelim.retention', 'on', true)` });
        await tx.run({
          text: 'TRUNCATE hl7_inbound, hl7_outbound, hl7_attempt, hl7_action, hl7_selection, hl7_destination, hl7_lane_hold, outbox',
        });
      });
      expect(faults).toEqual([]);
    });

    test('sign-in takes a pasted token, a reload does not ask again, and a refused one says why', async () => {
      await open('');
      await page.getByLabel('Access token').fill(await server.token('system/Patient.r'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('may not see the message log').waitFor();
      await page.getByLabel('Access token').fill(await server.token());
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Lanes' }).waitFor();
      await page.reload();
      await page.getByRole('heading', { name: 'Lanes' }).waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Access token').waitFor();
      expect(await page.evaluate('sessionStorage.length')).toBe(0);
      faults = faults.filter((fault) => !/403/.test(fault));
    });

    test('lanes show the head that blocks with its age and last error, live, and an alert says that it is old', async () => {
      await aDay();
      await signIn();
      const row = page.getByRole('row').filter({ hasText: 'lane-1' });
      await expectText(row, ['blocked', '3', '20 min', 'AE 207']);
      await page.locator('.alerts').getByText('3 messages wait to be sent, the oldest for 20 min').waitFor();
      await logOutbound(fresh.database, { lane: 'lane-1' });
      await expectText(row, ['4']);
      await shot('lanes');
    });

    test('a destination is held with a confirmation and a reason, shown as held, and released', async () => {
      await aDay();
      await signIn();
      const row = page.getByRole('row').filter({ hasText: DESTINATION }).first();
      await row.getByRole('button', { name: 'Hold' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Hold' }).click();
      await dialog.getByText('Say why').waitFor();
      expect(await held()).toEqual([]);
      await dialog.getByLabel('Reason').fill('RIS upgrade until noon');
      await shot('hold');
      await dialog.getByRole('button', { name: 'Hold' }).click();
      await page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
      await expectText(row, ['held', 'operator-1', 'RIS upgrade until noon']);
      expect(await held()).toEqual([DESTINATION]);
      await row.getByRole('button', { name: 'Release' }).click();
      await dialog.getByLabel('Reason').fill('upgrade done');
      await dialog.getByRole('button', { name: 'Release' }).click();
      await page.getByText(`Released: destination ${DESTINATION}.`).waitFor();
      expect(await held()).toEqual([]);
      await page.getByRole('link', { name: 'Log of actions' }).click();
      await page.getByText('upgrade done').waitFor();
      await shot('log');
    });

    test('a message is found, shown masked as fields and raw, and unmasked only by who may, which the log says', async () => {
      await aDay();
      await signIn(PRIVILEGED_SCOPE);
      await page.getByRole('link', { name: 'Messages', exact: true }).click();
      await page.getByLabel('MRN').fill('4711');
      await page.getByLabel('Direction').selectOption('in');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByRole('link', { name: 'HELD-1' }).waitFor();
      expect(page.url()).not.toContain('4711');
      expect(await page.locator('tbody').textContent()).not.toContain('4711');
      await shot('messages');
      await page.getByRole('link', { name: 'HELD-1' }).click();
      await page.getByText('Patient identification').waitFor();
      expect(await page.locator('main').textContent()).not.toMatch(/Zwiebelkuchen|4711|Secret/);
      await expectText(page.locator('main'), [
        'PID-5',
        'Patient name',
        '•••',
        'OBR-4',
        '24627-2 ^ CT Chest ^ LN',
        'MSA|AA|HELD-1',
      ]);
      await shot('message');
      await page.getByRole('button', { name: 'Show patient data' }).click();
      await page.getByText('Zwiebelkuchen ^ Adelgunde').waitFor();
      await page.getByRole('button', { name: 'Mask patient data' }).click();
      await page.getByText('Zwiebelkuchen ^ Adelgunde').waitFor({ state: 'detached' });
      await expectText(page.locator('main'), ['unmask', 'operator-1']);
    });

    test('without the right to patients, unmasking is refused and says which right it takes', async () => {
      const { held: id } = await aDay();
      await signIn(OPERATOR_SCOPE, `#/message/in/${id}`);
      await page.getByRole('button', { name: 'Show patient data' }).click();
      await page.getByText('system/Patient.r').waitFor();
      await page.getByRole('button', { name: 'Back to the masked message' }).click();
      await page.getByText('Patient identification').waitFor();
      faults = faults.filter((fault) => !/403/.test(fault));
    });

    test('a result shows each try with its answer, and is sent again or made anew under two names', async () => {
      const { rejected } = await aDay();
      await signIn(OPERATOR_SCOPE, `#/message/out/${rejected}`);
      await expectText(page.locator('main'), [
        'Tries to send',
        'AR 204',
        'MSA|AE',
        'rejected',
        'answered-reject',
      ]);
      await shot('result');
      await page.getByRole('button', { name: 'Resend same bytes' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('The same message with the same control ID goes out again').waitFor();
      await dialog.getByLabel('Reason').fill('the RIS lost it');
      await dialog.getByRole('button', { name: 'Resend same bytes' }).click();
      await page.getByText('The same bytes wait to be sent again.').waitFor();
      await expectText(page.locator('.facts'), ['waiting']);
      await expectText(page.locator('main'), ['resend', 'the RIS lost it']);
      await page.getByRole('button', { name: 'Rebuild new version' }).waitFor();
    });

    test('dead letters are dealt with in bulk: first the count, then exactly those', async () => {
      await aDay();
      for (let n = 2; n <= 4; n += 1)
        await logInbound(fresh.database, { controlId: `HELD-${n}`, filing: 'fhir.multiple-matches' });
      await signIn(OPERATOR_SCOPE, '#/dead');
      const row = page.getByRole('row').filter({ hasText: 'fhir.multiple-matches' });
      await expectText(row, ['held', '4']);
      await shot('dead');
      await row.getByRole('button', { name: 'Discard' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('It is done to exactly the 4 counted now.').waitFor();
      await logInbound(fresh.database, { controlId: 'HELD-5', filing: 'fhir.multiple-matches' });
      await dialog.getByLabel('Reason').fill('test patients');
      await dialog.getByRole('button', { name: 'Discard (4)' }).click();
      await page.getByText('Done: 4 messages').waitFor();
      await expectText(row, ['held', '1']);
      await row.getByRole('link', { name: '1' }).click();
      await page.getByRole('link', { name: 'HELD-5' }).waitFor();
    });

    test('everything can be done with the keyboard alone', async () => {
      await aDay();
      await signIn();
      const focused = () => page.evaluate('document.activeElement.textContent');
      const hold = `Hold ${DESTINATION}`;
      await page.getByRole('button', { name: hold }).press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      // The focus is back where it was.
      await expect.poll(focused).toBe(hold);
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.getByLabel('Reason').focus();
      await page.keyboard.type('by keyboard');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
      await page.getByRole('link', { name: 'Dead letters' }).press('Enter');
      await page.getByRole('heading', { name: 'Dead letters' }).waitFor();
      await expect.poll(() => page.evaluate('document.activeElement.tagName')).toBe('H2');
      await page.goBack();
      await page.getByRole('heading', { name: 'Lanes' }).waitFor();
    });

    test('hostile text in every field stays text: nothing runs and nothing is asked from elsewhere', async () => {
      const evil = PAYLOADS.join(' ');
      const raw = ORDER.replace('worried about her lung', evil.replaceAll('|', ''))
        .replace('Zwiebelkuchen', PAYLOADS[0] ?? '')
        .replace('CT Chest', PAYLOADS[1] ?? '');
      const ids: string[] = [];
      for (const [n, payload] of PAYLOADS.entries())
        ids.push(
          await logInbound(fresh.database, {
            raw,
            controlId: `${payload}${n}`,
            type: payload,
            filing: payload,
            mrn: payload,
            accession: payload,
            sender: payload,
          }),
        );
      await logOutbound(fresh.database, { lane: PAYLOADS[0] ?? '', error: PAYLOADS[1] ?? '', attempts: 1 });
      await signIn(PRIVILEGED_SCOPE, '#/messages');
      await page.getByRole('row').nth(PAYLOADS.length).waitFor();
      for (const view of ['dead', 'lanes', `message/in/${ids[0]}`]) {
        await page.goto(`${server.url}/operator/#/${view}`);
        await page.waitForTimeout(200);
      }
      await page.getByRole('button', { name: 'Show patient data' }).click();
      await page.getByRole('button', { name: 'Mask patient data' }).waitFor();
      await page.waitForTimeout(200);
      expect(await page.evaluate('window.ran')).toBeUndefined();
      expect(
        await page.evaluate(
          'document.querySelectorAll("#page script, #page iframe, #page img, #page object").length',
        ),
      ).toBe(0);
    });

    test('every text has a contrast of 7 to 1 or more and at least 16 px, and nothing runs over the edge, wide and narrow', async () => {
      const { held: id, rejected } = await aDay();
      await signIn();
      for (const width of [1440, 430]) {
        await page.setViewportSize({ width, height: 900 });
        for (const view of ['lanes', 'messages', 'dead', `message/in/${id}`, `message/out/${rejected}`]) {
          await page.goto(`${server.url}/operator/#/${view}`);
          await page.waitForTimeout(300);
          const measured = (await page.evaluate(measureText)) as TextMeasure[];
          expect(measured.length).toBeGreaterThan(10);
          expect(measured.filter(({ contrast, px }) => contrast < 7 || px < 16)).toEqual([]);
          expect(
            await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
            `${view} at ${width}`,
          ).toBe(true);
        }
        await shot(`narrow-${width}`);
      }
    });

    test('the page is public, with a policy that lets no foreign and no inline script run', async () => {
      await open('');
      const response = await fetch(`${server.url}/operator/`);
      expect(response.status).toBe(200);
      const policy = response.headers.get('content-security-policy') ?? '';
      for (const part of [
        "default-src 'self'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
      ])
        expect(policy).toContain(part);
      expect(policy).not.toMatch(/unsafe|\*/);
      expect((await fetch(`${server.url}/operator`, { redirect: 'manual' })).status).toBe(308);
      for (const path of [
        '/operator/../keys',
        '/operator/..%2fkeys',
        '/operator/assets/',
        '/operator/signing-key.json',
      ])
        expect([401, 404]).toContain((await fetch(`${server.url}${path}`)).status);
    });

    /** A lane that is blocked, a rejected result, a message that filing holds. */
    async function aDay() {
      await logOutbound(fresh.database, { lane: 'lane-1', minutesAgo: 20, error: 'AE 207', attempts: 3 });
      await logOutbound(fresh.database, { lane: 'lane-1', minutesAgo: 15 });
      await logOutbound(fresh.database, { lane: 'lane-1', minutesAgo: 10 });
      const { id: rejected } = await logOutbound(fresh.database, {
        lane: 'lane-2',
        state: 'rejected',
        error: 'AR 204',
        attempts: 1,
        minutesAgo: 30,
      });
      await logOutbound(fresh.database, {
        lane: 'lane-3',
        state: 'acknowledged',
        attempts: 1,
        minutesAgo: 5,
      });
      for (let n = 0; n < 6; n += 1)
        await logInbound(fresh.database, { controlId: `FILED-${n}`, minutesAgo: n });
      const id = await logInbound(fresh.database, {
        controlId: 'HELD-1',
        filing: 'fhir.multiple-matches',
        minutesAgo: 2,
      });
      return { held: id, rejected };
    }

    const held = async () =>
      (
        await fresh.database.run<{ destination: string }>({ text: 'SELECT destination FROM hl7_destination' })
      ).map(({ destination }) => destination);

    async function open(hash: string): Promise<void> {
      faults = [];
      page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
      page.on('dialog', (dialog) => faults.push(`dialog ${dialog.message()}`));
      page.on('pageerror', (error) => faults.push(`error ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(`console ${message.text()}`);
      });
      page.on('request', (request) => {
        if (!request.url().startsWith(`${server.url}/`)) faults.push(`request to ${request.url()}`);
      });
      await page.goto(`${server.url}/operator/${hash}`);
    }

    async function signIn(scope?: string, view = '#/lanes'): Promise<void> {
      await open(`#token=${await server.token(scope)}`);
      await page.locator('.live', { hasText: 'Live' }).waitFor();
      expect(page.url()).toBe(`${server.url}/operator/`);
      await page.goto(`${server.url}/operator/${view}`);
    }

    /** Waits until all parts stand in the text: the page looks at the server every few seconds. */
    async function expectText(shown: ReturnType<Page['locator']>, parts: readonly string[]): Promise<void> {
      await expect
        .poll(
          async () => {
            // biome-ignore lint/performance/useDomNodeTextContent: what is shown is asked for, not what is there
            const text = (await shown.innerText()).replace(/\s+/g, ' ');
            return parts.filter((part) => !text.includes(part));
          },
          { timeout: 8_000 },
        )
        .toEqual([]);
    }

    /** Pictures for people, where a folder is named. */
    async function shot(name: string): Promise<void> {
      const shots = process.env['PRELIM_TEST_SHOTS'];
      if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    }
  },
);

const PAYLOADS = [
  '<script>window.ran=1</script>',
  '<img src=x onerror="window.ran=1">',
  '<svg onload="window.ran=1">',
  '<iframe srcdoc="<script>parent.ran=1</script>">',
  '<a href="javascript:window.ran=1">click</a>',
  '<object data="data:text/html,<script>parent.ran=1</script>">',
  '<style>@import "https://attacker.example/x.css";</style>',
  '"><body onload=window.ran=1>',
  "';window.ran=1;//",
];
