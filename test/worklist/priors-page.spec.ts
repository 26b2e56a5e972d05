import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PriorResult } from '../../src/governance/prior-result.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { measureText, type TextMeasure } from './measure-text.ts';
import { analysisResources, type RecordOptions } from './records.ts';
import { startWorklist, type WorklistServer } from './server.ts';

const STARTED = new Date(Date.now() - 22 * 60_000);
const on = (taken: string, value: number, change: number | null, more: Partial<PriorResult> = {}) => ({
  taken: `${taken}T09:30:00Z`,
  value,
  unit: '%',
  change,
  ...more,
});
const RECORD: RecordOptions = {
  id: 'course',
  family: 'Lindqvist',
  given: 'Astrid',
  mrn: '20417702',
  gender: 'female',
  birthDate: '1958-07-02',
  exam: 'CT Chest without contrast',
  modality: 'CT',
  model: 'ct-emphysema@1.1.0',
  reason: 'Follow-up of emphysema, more breathless since spring',
  started: STARTED,
  conclusion: 'Preliminary AI result. Not reviewed by a radiologist.',
  findings: [
    {
      label: 'LAA-950',
      value: 12.6,
      unit: ['%', '%'],
      threshold: 6,
      abnormal: true,
      actionable: 3,
      priors: [
        on('2026-01-03', 11.2, 1.4),
        on('2025-06-14', 10.1, 2.5),
        on('2024-11-20', 9.4, 3.2),
        on('2023-10-02', 7.5, null, { caution: 'model-version', modelVersion: '0.9.0' }),
      ],
    },
    {
      label: 'Lung volume',
      value: 5720,
      unit: ['mL', 'mL'],
      priors: [on('2026-01-03', 5600, 120, { unit: 'mL' })],
    },
    {
      label: 'Nodule',
      presence: 'present',
      score: 0.8,
      threshold: 0.5,
      priors: [{ taken: '2026-01-03', presence: 'absent' }],
    },
    { label: 'Mass <b>', presence: 'absent', score: 0.1, threshold: 0.5 },
  ],
};

const chromium = findChromium();

describe.skipIf(chromium === null)(
  chromium === null ? 'skipped: no Chromium' : 'earlier results on the worklist page, in a real browser',
  () => {
    let folder: string;
    let fresh: FreshDatabase;
    let server: WorklistServer;
    let browser: Browser;
    let page: Page;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'prelim-page-'));
      const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));
      await build({ configFile, logLevel: 'error', build: { outDir: join(folder, 'page') } });
      fresh = await freshDatabase();
      server = await startWorklist(fresh.database, { keys: folder, page: join(folder, 'page') });
      await server.write(analysisResources(RECORD));
      browser = await launchChromium();
      page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
      await page.goto(`${server.url}/worklist/#token=${await server.token()}`);
      await page.locator('.row').first().click();
      await page.locator('.finding').first().waitFor();
    });
    afterAll(async () => {
      await browser?.close();
      await server?.stop();
      await fresh?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const words = async (selector: string) =>
      (await page.locator(selector).allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' '));

    test('the list says the change in the unit of the finding, and since when', async () => {
      expect(await words('.line-change')).toEqual([
        '+1.4 percentage points since 2026-01-03',
        'was absent on 2026-01-03',
        '+120 mL since 2026-01-03',
      ]);
    });

    test('the study shows each earlier result, why one is not compared, the curve of the others, and the reason for the exam', async () => {
      expect((await words('.course-change')).sort()).toEqual((await words('.line-change')).sort());
      const [earlier = ''] = await words('.course-priors');
      expect(earlier).toContain('2026-01-03: 11.2 %');
      expect(earlier).toContain('2023-10-02: 7.5 % (version 0.9.0 of the model, not compared)');
      // Three that can be compared, and now. The second measurement has one and now; a presence has no curve.
      expect(await page.locator('.course-curve').count()).toBe(2);
      expect(await page.locator('.course-curve').first().locator('circle').count()).toBe(4);
      const heights = await page
        .locator('.course-curve')
        .first()
        .locator('circle')
        .evaluateAll((all) => all.map((one) => Number(one.getAttribute('cy'))));
      expect(heights).toEqual([...heights].sort((a, b) => b - a));
      expect(await page.getByText('Reason for exam:').textContent()).toContain(
        'more breathless since spring',
      );
    });

    test('all of it can be read at an arm’s length: 16 px and more, the change 20 px', async () => {
      const measured = (await page.evaluate(measureText)) as TextMeasure[];
      expect(measured.length).toBeGreaterThan(10);
      const size = async (selector: string) =>
        page
          .locator(selector)
          .first()
          .evaluate((one) => Number.parseFloat(getComputedStyle(one).fontSize));
      expect(await size('.course-change')).toBeGreaterThanOrEqual(20);
      expect(await size('.course-priors')).toBeGreaterThanOrEqual(16);
      expect(await size('.line-change')).toBeGreaterThanOrEqual(16);
    });
  },
);
