import type { Task } from '@medplum/fhirtypes';
import { expect, test } from 'vitest';
import { describeWithPeer } from '../peers/required.ts';
import { WITH_EARLIER_RESULTS } from '../worklist/earlier-results.ts';
import { analysisResources, type RecordOptions } from '../worklist/records.ts';
import { sampleDay } from '../worklist/sample-day.ts';
import { startWorklist } from '../worklist/server.ts';
import { expectText, HOSTILE_TEXTS, NO_CHROMIUM, PageWorld, usePageWorld } from './page-world.ts';

describeWithPeer('the worklist page in a real browser', NO_CHROMIUM, () => {
  const world = new PageWorld('worklist', startWorklist);
  usePageWorld(world, (database) => database.run({ text: 'TRUNCATE resource, resource_version' }));
  const press = (...keys: string[]) => world.press(...keys);
  const write = (records: readonly RecordOptions[]) => world.server.write(records.flatMap(analysisResources));
  async function signIn(): Promise<void> {
    await world.signIn();
    await world.page.getByRole('option', { selected: true }).waitFor();
  }

  test('sign-in takes a pasted token, and a reload of the tab does not ask again', async () => {
    await world.open('');
    await world.page.getByLabel('Access token').fill(await world.server.token());
    await world.page.getByRole('button', { name: 'Sign in' }).click();
    await world.page.getByText('No studies yet').waitFor();
    await world.page.reload();
    await world.page.getByText('No studies yet').waitFor();
    await world.page.getByRole('button', { name: 'Sign out' }).click();
    await world.page.getByLabel('Access token').waitFor();
    expect(await world.page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('a token in the address signs in and is gone from the address and the history at once', async () => {
    const token = await world.server.token();
    await world.open(`#token=${token}`);
    await world.page.getByText('No studies yet').waitFor();
    expect(world.page.url()).toBe(`${world.server.url}/worklist/`);
    expect(await world.page.evaluate('history.length')).toBeLessThanOrEqual(2);
  });

  test('a token that is refused leads to sign-in with a reason, and so does one that loses its right', async () => {
    await world.open('#token=eyJub3QiOiJhIHRva2VuIn0');
    await world.page.getByText('The server did not accept the token').waitFor();
    await world.page.getByLabel('Access token').fill(await world.server.token('system/Patient.rs'));
    await world.page.getByRole('button', { name: 'Sign in' }).click();
    await world.page.getByText('it may not see the worklist').waitFor();
    world.forgive(/40[13]/);
  });

  test('rows stand most urgent first, each with its reason in words', async () => {
    await write(sampleDay(new Date()));
    await signIn();
    const reasons = await world.page.locator('.row .row-reason').allInnerTexts();
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
    await world.page.getByText('1 within minutes').waitFor();
    expect(await world.page.title()).toBe('(1) Worklist · Prelim');
    const first = world.page.getByRole('option').first();
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
    await write(sampleDay(new Date()));
    await signIn();
    const detail = world.page.locator('.detail');
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
    const picture = world.page.locator('.picture img');
    await picture.waitFor();
    expect(
      await world.page.evaluate(
        '(async (image) => (await image.decode(), image.naturalWidth))(document.querySelector(".picture img"))',
      ),
    ).toBe(512);
    await press('End', 'Home', 'j', 'j', 'j', 'j');
    await world.page.getByRole('heading', { name: 'No order matched this study' }).waitFor();
  });

  test('a link to the FHIR record shows it on the page, with the token of the reader', async () => {
    await write([{ id: 'one', family: 'Early', started: new Date() }]);
    await signIn();
    await world.page.getByRole('link', { name: 'FHIR DiagnosticReport' }).click();
    await world.page.getByRole('dialog').getByText('"resourceType": "DiagnosticReport"').waitFor();
    await press('Escape');
    await world.page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  test('a refused study shows the rule, what was observed and what is required', async () => {
    await write(sampleDay(new Date()));
    await signIn();
    const row = world.page.getByRole('option').filter({ hasText: 'Brandt' });
    await expectText(row, ['Refused', 'body-part', 'observed HAND', 'required CHEST']);
    await row.click();
    await world.page.getByRole('heading', { name: 'Refused by the gate' }).waitFor();
    expect(await world.page.locator('.verdict dd').allInnerTexts()).toEqual(['body-part', 'HAND', 'CHEST']);
  });

  test('a result arrives without a reload, moves its row up, and the selected row stays selected', async () => {
    const day = sampleDay(new Date());
    await write(day);
    await signIn();
    await press('j', 'j', 'j');
    const selected = world.page.getByRole('option', { selected: true });
    await expectText(selected, ['Moreau']);
    const stat = day.find((one) => one.id === 'stat') as RecordOptions;
    const findings = [{ label: 'Pneumothorax', presence: 'present', score: 0.97, actionable: 1 }] as const;
    await write([{ ...stat, status: 'completed', findings }]);
    await world.page.getByText('2 within minutes').waitFor({ timeout: 3_000 });
    await expectText(world.page.getByRole('option').first(), ['Haddad', 'score 0.97']);
    await expectText(selected, ['Moreau']);
    await expectText(world.page.locator('.detail h2'), ['Moreau']);
    await world.page
      .getByText('Actionable category 1: minutes — Pneumothorax present. Haddad, Leïla.')
      .waitFor({ state: 'attached' });
  });

  test('the page says when it is not live, comes back by itself, and then has what it missed', async () => {
    await write([{ id: 'one', family: 'Early', started: new Date() }]);
    await signIn();
    await world.page.locator('.live', { hasText: 'Live' }).waitFor();
    const { port } = new URL(world.server.url);
    await world.server.stop();
    await world.page.locator('.live', { hasText: 'Not live since' }).waitFor();
    await world.serve(Number(port));
    await write([{ id: 'two', family: 'Missed', started: new Date() }]);
    await world.page.locator('.live', { hasText: 'Live' }).waitFor({ timeout: 20_000 });
    await world.page.getByRole('option').filter({ hasText: 'Missed' }).waitFor();
    world.forgive(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE/);
  });

  test('everything can be done with the keyboard alone, and a screen reader is told the active row', async () => {
    await write(sampleDay(new Date()));
    await signIn();
    const list = world.page.getByRole('listbox', { name: 'Studies, most urgent first' });
    expect(await world.page.evaluate('document.activeElement.getAttribute("role")')).toBe('listbox');
    await press('ArrowDown');
    expect(await list.getAttribute('aria-activedescendant')).toBe('row-stat');
    await press('/');
    await world.page.locator('.filter input:focus').waitFor();
    await world.page.keyboard.type('petrov jk?');
    await world.page.getByText('No study fits the filter').waitFor();
    await press('Escape');
    await press('/');
    await world.page.locator('.filter input:focus').waitFor();
    await world.page.keyboard.type('PETROV');
    await press('Enter');
    await world.page.locator('.detail h2:focus').waitFor();
    await expectText(world.page.locator('.detail h2'), ['Petrov']);
    await press('Escape', 'Escape');
    expect(await world.page.getByRole('option').count()).toBe(11);
    await press('?');
    await world.page.getByRole('dialog').waitFor();
    await press('j', 'Escape');
    await world.page.getByRole('dialog').waitFor({ state: 'detached' });
    await expectText(world.page.locator('.detail h2'), ['Petrov']);
  });

  test('hostile text in every field stays text: nothing runs and nothing is asked from elsewhere', async () => {
    await write(HOSTILE_TEXTS.map(hostile));
    await signIn();
    expect(await world.page.getByRole('option').count()).toBe(HOSTILE_TEXTS.length);
    for (let i = 0; i < HOSTILE_TEXTS.length; i++) {
      await world.page.locator('.detail h2').waitFor();
      await press('j');
    }
    await world.page.getByRole('option').last().click();
    await world.page.waitForTimeout(200);
    const names = (await world.page.locator('.row-name').allTextContents()).sort();
    expect(names).toEqual(HOSTILE_TEXTS.map((payload) => `${payload}, ${payload}`).sort());
    await world.expectNothingRan('math');
  });

  test('every text has a contrast of 7 to 1 or more and at least 16 px, wide and narrow', async () => {
    await write(sampleDay(new Date()));
    await signIn();
    for (const width of [1440, 400]) {
      await world.page.setViewportSize({ width, height: 900 });
      await press('Home', 'Enter');
      for (let i = 0; i < 7; i++) {
        await world.expectReadable(`study ${i} at ${width}`);
        await press('j');
      }
      await press('Escape');
    }
  });

  test('the list says the change since an earlier result in the unit of the finding, and since when', async () => {
    await write([WITH_EARLIER_RESULTS]);
    await signIn();
    expect(await words('.line-change')).toEqual([
      '+1.4 percentage points since 2026-01-03',
      'was absent on 2026-01-03',
      '+120 mL since 2026-01-03',
    ]);
  });

  test('the study shows each earlier result, why one is not compared, the curve of the others, and the reason for the exam', async () => {
    await write([WITH_EARLIER_RESULTS]);
    await signIn();
    await world.page.locator('.row').first().click();
    await world.page.locator('.finding').first().waitFor();
    expect((await words('.course-change')).sort()).toEqual((await words('.line-change')).sort());
    const [earlier = ''] = await words('.course-priors');
    expect(earlier).toContain('2026-01-03: 11.2 %');
    expect(earlier).toContain('2023-10-02: 7.5 % (version 0.9.0 of the model, not compared)');
    // Three that can be compared, and now. The second measurement has one and now; a presence has no curve.
    expect(await world.page.locator('.course-curve').count()).toBe(2);
    expect(await world.page.locator('.course-curve').first().locator('circle').count()).toBe(4);
    const heights = await world.page
      .locator('.course-curve')
      .first()
      .locator('circle')
      .evaluateAll((all) => all.map((one) => Number(one.getAttribute('cy'))));
    expect(heights).toEqual([...heights].sort((a, b) => b - a));
    expect(await world.page.getByText('Reason for exam:').textContent()).toContain(
      'more breathless since spring',
    );
    await world.expectReadable('earlier results');
    const size = async (selector: string) =>
      world.page
        .locator(selector)
        .first()
        .evaluate((one) => Number.parseFloat(getComputedStyle(one).fontSize));
    expect(await size('.course-change')).toBeGreaterThanOrEqual(20);
    expect(await size('.course-priors')).toBeGreaterThanOrEqual(16);
    expect(await size('.line-change')).toBeGreaterThanOrEqual(16);
  });

  /** Of each, with ordinary spaces. */
  const words = async (selector: string) =>
    (await world.page.locator(selector).allInnerTexts()).map((text) => text.replaceAll('\u00a0', ' '));
});

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
