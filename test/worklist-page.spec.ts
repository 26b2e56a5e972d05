import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Task } from '@medplum/fhirtypes';
import type { Browser, Locator, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from './database.ts';
import { findChromium, launchChromium } from './peers/chromium.ts';
import { measureText, type TextMeasure } from './worklist/measure-text.ts';
import { analysisResources, type RecordOptions } from './worklist/records.ts';
import { sampleDay } from './worklist/sample-day.ts';
import { startWorklist, type WorklistServer } from './worklist/server.ts';

const chromium = findChromium();

describe.skipIf(chromium === null)(
  chromium === null ? 'skipped: no Chromium' : 'the worklist page in a real browser',
  () => {
    let folder: string;
    let fresh: FreshDatabase;
    let server: WorklistServer;
    let browser: Browser;
    let page: Page;
    /** Everything that must never happen on the page. */
    let faults: string[];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'prelim-page-'));
      const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));
      await build({ configFile, logLevel: 'error', build: { outDir: join(folder, 'page') } });
      fresh = await freshDatabase();
      server = await startWorklist(fresh.database, { keys: folder, page: join(folder, 'page') });
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
      await fresh.database.run({ text: 'TRUNCATE resource, resource_version' });
      expect(faults).toEqual([]);
    });

    test('sign-in takes a pasted token, and a reload of the tab does not ask again', async () => {
      await open('');
      await page.getByLabel('Access token').fill(await server.token());
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('No studies yet').waitFor();
      await page.reload();
      await page.getByText('No studies yet').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Access token').waitFor();
      expect(await page.evaluate('sessionStorage.length')).toBe(0);
    });

    test('a token in the address signs in and is gone from the address and the history at once', async () => {
      const token = await server.token();
      await open(`#token=${token}`);
      await page.getByText('No studies yet').waitFor();
      expect(page.url()).toBe(`${server.url}/worklist/`);
      expect(await page.evaluate('history.length')).toBeLessThanOrEqual(2);
    });

    test('a token that is refused leads to sign-in with a reason, and so does one that loses its right', async () => {
      await open('#token=eyJub3QiOiJhIHRva2VuIn0');
      await page.getByText('The server did not accept the token').waitFor();
      await page.getByLabel('Access token').fill(await server.token('system/Patient.rs'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('it may not see the worklist').waitFor();
      faults = faults.filter((fault) => !/40[13]/.test(fault));
    });

    test('rows stand most urgent first, each with its reason in words', async () => {
      await server.write(sampleDay(new Date()).flatMap(analysisResources));
      await signIn();
      const reasons = await page.locator('.row .row-reason').allInnerTexts();
      expect(reasons).toEqual([
        'Actionable category 1: minutes — Pneumothorax present',
        'STAT order',
        'Actionable category 2: hours — Pleural effusion present',
        'Actionable category 3: days — Emphysema (LAA-950) abnormal',
        'Lung nodule present',
        'Consolidation indeterminate',
        'No AI result: read as ordered',
        'No finding above its threshold',
        'No AI result: read as ordered',
        'No AI result yet',
        'Reviewed by a radiologist',
      ]);
      await page.getByText('1 within minutes').waitFor();
      expect(await page.title()).toBe('(1) Worklist · Prelim');
      const first = page.getByRole('option').first();
      await expectText(first, [
        'Minutes',
        'Okafor, Daniel',
        'M · 29 y',
        '20418833',
        '12 min',
        'Preliminary',
        'score 0.91',
      ]);
    });

    test('the detail says what was found on what ground, with codes, warnings, model and order', async () => {
      await server.write(sampleDay(new Date()).flatMap(analysisResources));
      await signIn();
      const detail = page.locator('.detail');
      await expectText(detail, [
        'Preliminary AI result. Not reviewed by a radiologist.',
        'score 0.91, present from 0.5',
        'ACR actionable category 1',
        'SNOMED CT 36118008',
        'RadLex RID5352',
        'RadLex none',
        'view',
        'observed no view position',
        'cxr-densenet-all version 1.5.2',
        'matched, accession A-pneumothorax, urgent',
      ]);
      const picture = page.locator('.picture img');
      await picture.waitFor();
      expect(
        await page.evaluate(
          '(async (image) => (await image.decode(), image.naturalWidth))(document.querySelector(".picture img"))',
        ),
      ).toBe(512);
      await press('End', 'Home', 'j', 'j', 'j', 'j');
      await page.getByRole('heading', { name: 'No order matched this study' }).waitFor();
    });

    test('a link to the FHIR record shows it on the page, with the token of the reader', async () => {
      await server.write(analysisResources({ id: 'one', family: 'Early', started: new Date() }));
      await signIn();
      await page.getByRole('link', { name: 'FHIR DiagnosticReport' }).click();
      await page.getByRole('dialog').getByText('"resourceType": "DiagnosticReport"').waitFor();
      await press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    });

    test('a refused study shows the rule, what was observed and what is required', async () => {
      await server.write(sampleDay(new Date()).flatMap(analysisResources));
      await signIn();
      const row = page.getByRole('option').filter({ hasText: 'Brandt' });
      await expectText(row, ['Refused', 'body-part', 'observed HAND', 'required CHEST']);
      await row.click();
      await page.getByRole('heading', { name: 'Refused by the gate' }).waitFor();
      expect(await page.locator('.verdict dd').allInnerTexts()).toEqual(['body-part', 'HAND', 'CHEST']);
    });

    test('a result arrives without a reload, moves its row up, and the selected row stays selected', async () => {
      const day = sampleDay(new Date());
      await server.write(day.flatMap(analysisResources));
      await signIn();
      await press('j', 'j', 'j');
      const selected = page.getByRole('option', { selected: true });
      await expectText(selected, ['Moreau']);
      const stat = day.find((one) => one.id === 'stat') as RecordOptions;
      await server.write(
        analysisResources({
          ...stat,
          status: 'completed',
          findings: [{ label: 'Pneumothorax', presence: 'present', score: 0.97, actionable: 1 }],
        }),
      );
      await page.getByText('2 within minutes').waitFor({ timeout: 3_000 });
      await expectText(page.getByRole('option').first(), ['Haddad', 'score 0.97']);
      await expectText(selected, ['Moreau']);
      await expectText(page.locator('.detail h2'), ['Moreau']);
      await page
        .getByText('Actionable category 1: minutes — Pneumothorax present. Haddad, Leïla.')
        .waitFor({ state: 'attached' });
    });

    test('the page says when it is not live, comes back by itself, and then has what it missed', async () => {
      await server.write(analysisResources({ id: 'one', family: 'Early', started: new Date() }));
      await signIn();
      await page.locator('.live', { hasText: 'Live' }).waitFor();
      const { port } = new URL(server.url);
      await server.stop();
      await page.locator('.live', { hasText: 'Reconnecting' }).waitFor();
      server = await startWorklist(fresh.database, {
        keys: folder,
        page: join(folder, 'page'),
        port: Number(port),
      });
      await server.write(analysisResources({ id: 'two', family: 'Missed', started: new Date() }));
      await page.locator('.live', { hasText: 'Live' }).waitFor({ timeout: 20_000 });
      await page.getByRole('option').filter({ hasText: 'Missed' }).waitFor();
      faults = faults.filter(
        (fault) => !fault.includes('ERR_CONNECTION_REFUSED') && !fault.includes('ERR_INCOMPLETE'),
      );
    });

    test('everything can be done with the keyboard alone, and a screen reader is told the active row', async () => {
      await server.write(sampleDay(new Date()).flatMap(analysisResources));
      await signIn();
      const list = page.getByRole('listbox', { name: 'Studies, most urgent first' });
      expect(await page.evaluate('document.activeElement.getAttribute("role")')).toBe('listbox');
      await press('ArrowDown');
      expect(await list.getAttribute('aria-activedescendant')).toBe('row-stat');
      await press('/');
      await page.locator('.filter input:focus').waitFor();
      await page.keyboard.type('petrov jk?');
      await page.getByText('No study fits the filter').waitFor();
      await press('Escape');
      await press('/');
      await page.locator('.filter input:focus').waitFor();
      await page.keyboard.type('PETROV');
      await press('Enter');
      await page.locator('.detail h2:focus').waitFor();
      await expectText(page.locator('.detail h2'), ['Petrov']);
      await press('Escape', 'Escape');
      expect(await page.getByRole('option').count()).toBe(11);
      await press('?');
      await page.getByRole('dialog').waitFor();
      await press('j', 'Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await expectText(page.locator('.detail h2'), ['Petrov']);
    });

    test('hostile text in every field stays text: nothing runs and nothing is asked from elsewhere', async () => {
      await server.write(PAYLOADS.flatMap((payload, i) => analysisResources(hostile(payload, i))));
      await signIn();
      expect(await page.getByRole('option').count()).toBe(PAYLOADS.length);
      for (let i = 0; i < PAYLOADS.length; i++) {
        await page.locator('.detail h2').waitFor();
        await press('j');
      }
      await page.getByRole('option').last().click();
      await page.waitForTimeout(200);
      const names = (await page.locator('.row-name').allTextContents()).sort();
      expect(names).toEqual(PAYLOADS.map((payload) => `${payload}, ${payload}`).sort());
      expect(await page.evaluate('window.ran')).toBeUndefined();
      expect(
        await page.evaluate(
          'document.querySelectorAll("#page script, #page iframe, #page object, #page math").length',
        ),
      ).toBe(0);
    });

    test('every text has a contrast of 7 to 1 or more and at least 16 px, wide and narrow', async () => {
      await server.write(sampleDay(new Date()).flatMap(analysisResources));
      await signIn();
      for (const width of [1440, 430]) {
        await page.setViewportSize({ width, height: 900 });
        await press('Home', 'Enter');
        for (let i = 0; i < 7; i++) {
          const measured = (await page.evaluate(measureText)) as TextMeasure[];
          expect(measured.length).toBeGreaterThan(10);
          expect(measured.filter(({ contrast, px }) => contrast < 7 || px < 16)).toEqual([]);
          await press('j');
        }
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
        await press('Escape');
      }
    });

    async function open(hash: string): Promise<void> {
      faults = [];
      page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
      page.on('dialog', (dialog) => faults.push(`dialog ${dialog.message()}`));
      page.on('pageerror', (error) => faults.push(`error ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(`console ${message.text()}`);
      });
      page.on('request', (request) => {
        if (!request.url().startsWith(`${server.url}/`) && !request.url().startsWith(`blob:${server.url}/`)) {
          faults.push(`request to ${request.url()}`);
        }
      });
      await page.goto(`${server.url}/worklist/${hash}`);
    }

    async function signIn(): Promise<void> {
      await open(`#token=${await server.token()}`);
      await page.getByRole('option', { selected: true }).waitFor();
      await page.locator('.live', { hasText: 'Live' }).waitFor();
    }

    async function press(...keys: string[]): Promise<void> {
      for (const key of keys) await page.keyboard.press(key);
    }
  },
);

async function expectText(shown: Locator, parts: readonly string[]): Promise<void> {
  // What joins words on the screen (non-breaking spaces, line ends) is layout, not content.
  // biome-ignore lint/performance/useDomNodeTextContent: what is shown is asked for, not what is there
  const text = (await shown.innerText()).replace(/\s+/g, ' ');
  for (const part of parts) expect(text).toContain(part);
}

const PAYLOADS = [
  '<script>window.ran=1</script>',
  '<img src=x onerror="window.ran=1">',
  '<svg onload="window.ran=1">',
  '<svg><animate onbegin="window.ran=1" attributeName=x dur=1s>',
  '<math><mtext><table><mglyph><style><img src=x onerror=window.ran=1>',
  '<iframe srcdoc="<script>parent.ran=1</script>">',
  '<a href="javascript:window.ran=1">click</a>',
  '<object data="data:text/html,<script>parent.ran=1</script>">',
  '<style>@import "https://attacker.example/x.css";</style>',
  '<noscript><p title="</noscript><img src=x onerror=window.ran=1>">',
  '"><body onload=window.ran=1>',
  "';window.ran=1;//",
  '{{constructor.constructor("window.ran=1")()}}',
  '<link rel=stylesheet href=https://attacker.example/x.css>',
  '</title><meta http-equiv=refresh content="0;url=https://attacker.example/">',
];

/** The payload in every text of a row; every third row is refused, every third failed. */
function hostile(payload: string, i: number): RecordOptions {
  const statuses: readonly Task['status'][] = ['completed', 'rejected', 'failed'];
  const status = statuses[i % 3] as Task['status'];
  return {
    id: `hostile-${i}`,
    family: payload,
    given: payload,
    mrn: payload,
    exam: payload,
    modality: payload,
    started: new Date(Date.now() - i * 60_000),
    status,
    stage: payload,
    model: `${payload}@${payload}`,
    conclusion: payload,
    failure: payload,
    ...(status === 'rejected'
      ? { refusal: { rule: payload, text: `x: observed ${payload}; required ${payload}` } }
      : {}),
    warnings: [payload, `view: observed ${payload}; required ${payload}`],
    findings: [
      {
        label: payload,
        presence: 'present',
        score: 0.9,
        threshold: 0.5,
        actionable: 1,
        sct: [payload, payload],
      },
      { label: payload, value: 3, unit: [payload, payload], radlex: [payload, payload] },
    ],
  };
}
