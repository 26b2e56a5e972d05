import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  logInbound,
  logOutbound,
  OPERATOR_SCOPE,
  ORDER,
  PRIVILEGED_SCOPE,
  startOperator,
} from '../hl7/operator-server.ts';
import { emptyMessageLog } from '../hl7/operator-world.ts';
import { describeWithPeer } from '../peers/required.ts';
import { expectText, HOSTILE_TEXTS, NO_CHROMIUM, PageWorld, usePageWorld } from './page-world.ts';

const DESTINATION = 'ris.example:2576';
/** As `use-polled.ts` has it, which is of the browser. */
const LOOK_MS_MAX = 20_000;
const DESTINATIONS_FILE = join(mkdtempSync(join(tmpdir(), 'prelim-operator-')), 'destinations.json');
writeFileSync(
  DESTINATIONS_FILE,
  JSON.stringify({
    destinations: [{ name: 'new-ris', url: 'mllp://10.0.0.9:2576', profile: 'ihe-rad-128' }],
  }),
);

describeWithPeer('the operator page in a real browser', NO_CHROMIUM, () => {
  const world = new PageWorld('operator', (database, options) =>
    startOperator(database, {
      ...options,
      settings: { RIS_URL: `mllp://${DESTINATION}`, RIS_DESTINATIONS: DESTINATIONS_FILE },
    }),
  );
  usePageWorld(world, emptyMessageLog);

  async function signIn(scope?: string, view = '#/lanes'): Promise<void> {
    await world.signIn(scope);
    await world.page.goto(`${world.server.url}/operator/${view}`);
  }

  // First: alerts are a few seconds old at most, and nobody has asked for them yet.
  test('lanes show the head that blocks with its age and last error, live, and an alert says that it is old', async () => {
    await aDay();
    await signIn();
    const row = world.page.getByRole('row').filter({ hasText: 'lane-1' });
    await expectText(row, ['blocked', '3', '20 min', 'AE 207']);
    await world.page
      .locator('.alerts')
      .getByText('3 messages wait to be sent, the oldest for 20 min')
      .waitFor();
    await logOutbound(world.fresh.database, { lane: 'lane-1' });
    await expectText(row, ['4', 'an error inside the receiver']);
    // A destination whose lane stands does not look as if it were sending.
    await expectText(world.page.getByRole('row').filter({ hasText: 'profile ris' }), ['blocked', '1 lane']);
    await expectText(world.page.getByRole('row').filter({ hasText: 'new-ris' }), [
      'nothing waits',
      'not within a day',
    ]);
    await world.shot('lanes');
  });

  test('sign-in takes a pasted token, a reload does not ask again, and a refused one says why', async () => {
    await world.open('');
    await world.page.getByLabel('Access token').fill(await world.server.token('system/Patient.r'));
    await world.page.getByRole('button', { name: 'Sign in' }).click();
    await world.page.getByText('may not see the message log').waitFor();
    await world.page.getByLabel('Access token').fill(await world.server.token());
    await world.page.getByRole('button', { name: 'Sign in' }).click();
    await world.page.getByRole('heading', { name: 'Lanes' }).waitFor();
    await world.page.reload();
    await world.page.getByRole('heading', { name: 'Lanes' }).waitFor();
    await world.page.getByRole('button', { name: 'Sign out' }).click();
    await world.page.getByLabel('Access token').waitFor();
    expect(await world.page.evaluate('sessionStorage.length')).toBe(0);
    world.forgive(/403/);
  });

  test('a destination is held with a confirmation and a reason, shown as held, and released', async () => {
    await aDay();
    await signIn();
    const row = world.page.getByRole('row').filter({ hasText: DESTINATION }).first();
    await row.getByRole('button', { name: 'Hold' }).click();
    const dialog = world.page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Hold' }).click();
    await dialog.getByText('Say why').waitFor();
    expect(await held()).toEqual([]);
    await dialog.getByLabel('Reason').fill('RIS upgrade until noon');
    await world.shot('hold');
    await dialog.getByRole('button', { name: 'Hold' }).click();
    await world.page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
    await expectText(row, ['held', 'operator-1', 'RIS upgrade until noon']);
    expect(await held()).toEqual([DESTINATION]);
    await row.getByRole('button', { name: 'Release' }).click();
    await dialog.getByText(/It was held by operator-1 since .*: RIS upgrade until noon\./).waitFor();
    await dialog.getByLabel('Reason').fill('upgrade done');
    await dialog.getByRole('button', { name: 'Release' }).click();
    await world.page.getByText(`Released: destination ${DESTINATION}. It was held by operator-1`).waitFor();
    expect(await held()).toEqual([]);
    await world.page.getByRole('link', { name: 'Log of actions' }).click();
    await world.page.getByText('upgrade done').waitFor();
    await world.page
      .getByText(/Ended the hold of the destination by operator-1 since .*: RIS upgrade/)
      .waitFor();
    await world.shot('log');
  });

  test('a message is found, shown masked as fields and raw, and unmasked only by who may, which the log says', async () => {
    await aDay();
    await signIn(PRIVILEGED_SCOPE);
    await world.page.getByRole('link', { name: 'Messages', exact: true }).click();
    await world.page.getByLabel('MRN').fill('4711');
    await world.page.getByLabel('Direction').selectOption('in');
    await world.page.getByRole('button', { name: 'Search' }).click();
    await world.page.getByRole('link', { name: 'HELD-1' }).waitFor();
    expect(world.page.url()).not.toContain('4711');
    expect(await world.page.locator('tbody').textContent()).not.toContain('4711');
    await world.shot('messages');
    await world.page.getByRole('link', { name: 'HELD-1' }).click();
    await world.page.getByText('Patient identification').waitFor();
    expect(await world.page.locator('main').textContent()).not.toMatch(/Zwiebelkuchen|4711|Secret/);
    await expectText(world.page.locator('main'), [
      'PID-5',
      'Patient name',
      '•••',
      'OBR-4',
      '24627-2 ^ CT Chest ^ LN',
      'MSA|AA|HELD-1',
    ]);
    await world.shot('message');
    await world.page.getByRole('button', { name: 'Show patient data' }).click();
    await world.page.getByText('Zwiebelkuchen ^ Adelgunde').waitFor();
    await world.page.getByRole('button', { name: 'Mask patient data' }).click();
    await world.page.getByText('Zwiebelkuchen ^ Adelgunde').waitFor({ state: 'detached' });
    await expectText(world.page.locator('main'), ['unmask', 'operator-1']);
  });

  test('without the right to patients, unmasking is refused and says which right it takes', async () => {
    const { held: id } = await aDay();
    await signIn(OPERATOR_SCOPE, `#/message/in/${id}`);
    await world.page.getByRole('button', { name: 'Show patient data' }).click();
    await world.page.getByText('system/Patient.r').waitFor();
    await world.page.getByRole('button', { name: 'Back to the masked message' }).click();
    await world.page.getByText('Patient identification').waitFor();
    world.forgive(/403/);
  });

  test('a result shows each try with its answer, and is sent again or made anew under two names', async () => {
    const { rejected } = await aDay();
    await signIn(OPERATOR_SCOPE, `#/message/out/${rejected}`);
    await expectText(world.page.locator('main'), [
      'Tries to send',
      'AR 204',
      'MSA|AE',
      'rejected',
      'answered-reject',
    ]);
    await world.shot('result');
    await world.page.getByRole('button', { name: 'Resend same bytes' }).click();
    const dialog = world.page.getByRole('dialog');
    await dialog.getByText('The same message with the same control ID goes out again').waitFor();
    await dialog.getByLabel('Reason').fill('the RIS lost it');
    await dialog.getByRole('button', { name: 'Resend same bytes' }).click();
    await world.page.getByText('The same bytes wait to be sent again.').waitFor();
    await expectText(world.page.locator('.facts'), ['waiting']);
    await expectText(world.page.locator('main'), ['resend', 'the RIS lost it']);
    await world.page.getByRole('button', { name: 'Rebuild new version' }).waitFor();
  });

  test('old bytes are not sent over a newer version without a sign of it and a word', async () => {
    const report = { report: 'report-9', state: 'acknowledged', attempts: 1 };
    const { id: older } = await logOutbound(world.fresh.database, { ...report, minutesAgo: 9 });
    const newer = await logOutbound(world.fresh.database, { ...report, version: 2 });
    await signIn(OPERATOR_SCOPE, `#/message/out/${older}`);
    await expectText(world.page.locator('.news').last(), [newer.controlId, 'acknowledged']);
    await world.page.getByRole('button', { name: 'Resend same bytes' }).click();
    await world.page.getByRole('checkbox').waitFor();
    await world.page.keyboard.press('Escape');
    await world.page.getByRole('link', { name: newer.controlId }).first().click();
    await expectText(world.page.locator('.facts'), [newer.controlId]);
    await world.page.getByRole('button', { name: 'Resend same bytes' }).click();
    await world.page.getByRole('dialog').waitFor();
    expect(await world.page.getByRole('checkbox').count()).toBe(0);
  });

  test('what was found is sent to another destination: chosen, counted, confirmed, and logged with its name', async () => {
    await aDay();
    await signIn(OPERATOR_SCOPE, '#/messages?direction=out');
    const form = world.page.getByRole('form', { name: 'Send these to another destination' });
    await form.getByRole('button', { name: 'Count' }).click();
    await form.getByText('Choose where to send them.').waitFor();
    await form.getByRole('combobox').selectOption('new-ris');
    await form.getByRole('button', { name: 'Count' }).click();
    await form.getByText('filter must be').waitFor();
    await world.page.getByLabel('Status').selectOption('acknowledged');
    await world.page.getByRole('button', { name: 'Search' }).click();
    await expectText(world.page.locator('tbody'), ['acknowledged']);
    await form.getByRole('combobox').selectOption('new-ris');
    await form.getByRole('button', { name: 'Count' }).click();
    const dialog = world.page.getByRole('dialog');
    await dialog.getByText('Send 1 message to new-ris?').waitFor();
    await dialog.getByLabel('Reason').fill('the new RIS is on');
    await world.shot('send-to');
    await dialog.getByRole('button', { name: 'Send to new-ris (1)' }).click();
    await world.page.getByText('Done: 1 message').waitFor();
    const jobs = await world.fresh.database.run<{ payload: { destination: string } }>({
      text: 'SELECT payload FROM outbox',
    });
    expect(jobs.map(({ payload }) => payload.destination)).toEqual(['new-ris']);
    await world.page.getByRole('link', { name: 'Log of actions' }).click();
    await world.page.getByText('send-to new-ris').waitFor();
    world.forgive(/400/);
  });

  test('one result is sent to another destination from its own page, wide and narrow, and its log says so', async () => {
    const { rejected, held: inbound } = await aDay();
    await signIn(OPERATOR_SCOPE, `#/message/out/${rejected}`);
    const form = world.page.getByRole('form', { name: 'Send this result to another destination' });
    // Not to where it goes already.
    await form.getByRole('option', { name: 'new-ris' }).waitFor({ state: 'attached' });
    expect(await form.getByRole('option').allTextContents()).toEqual(['choose', 'new-ris']);
    await form.getByRole('button', { name: 'Send to …' }).click();
    await form.getByText('Choose where to send it.').waitFor();
    await form.getByRole('combobox').selectOption('new-ris');
    for (const width of [400, 1440]) {
      await world.page.setViewportSize({ width, height: 900 });
      await world.shot(`send-one-to-${width}`);
    }
    await form.getByRole('button', { name: 'Send to …' }).click();
    const dialog = world.page.getByRole('dialog');
    await dialog.getByText('Send this result to new-ris?').waitFor();
    await dialog.getByLabel('Reason').fill('the new RIS is on');
    await dialog.getByRole('button', { name: 'Send to new-ris' }).click();
    await world.page.getByText('new-ris is told of this report').waitFor();
    await expectText(world.page.locator('main'), ['send-to', 'operator-1', 'the new RIS is on']);
    const jobs = await world.fresh.database.run<{ payload: { destination: string } }>({
      text: 'SELECT payload FROM outbox',
    });
    expect(jobs.map(({ payload }) => payload.destination)).toEqual(['new-ris']);
    await world.page.goto(`${world.server.url}/operator/#/message/in/${inbound}`);
    await world.page.getByRole('button', { name: 'File again' }).waitFor();
    expect(await world.page.getByRole('form').count()).toBe(0);
  });

  test('dead letters are dealt with in bulk: first the count, then exactly those', async () => {
    await aDay();
    for (let n = 2; n <= 4; n += 1)
      await logInbound(world.fresh.database, { controlId: `HELD-${n}`, filing: 'fhir.multiple-matches' });
    await signIn(OPERATOR_SCOPE, '#/dead');
    const row = world.page.getByRole('row').filter({ hasText: 'fhir.multiple-matches' });
    await expectText(row, ['held', '4']);
    await world.shot('dead');
    await row.getByRole('button', { name: 'Discard' }).click();
    const dialog = world.page.getByRole('dialog');
    await dialog.getByText('It is done to exactly the 4 counted now.').waitFor();
    await logInbound(world.fresh.database, { controlId: 'HELD-5', filing: 'fhir.multiple-matches' });
    await dialog.getByLabel('Reason').fill('test patients');
    await dialog.getByRole('button', { name: 'Discard (4)' }).click();
    await world.page.getByText('Done: 4 messages').waitFor();
    await expectText(row, ['held', '1']);
    await row.getByRole('link', { name: '1' }).click();
    await world.page.getByRole('link', { name: 'HELD-5' }).waitFor();
  });

  test('the messages of a reason are those of one partner, and what somebody else has dealt with is not counted again', async () => {
    const dead = { filing: 'fhir.multiple-matches' };
    await logInbound(world.fresh.database, { ...dead, controlId: 'HIS-1' });
    await logInbound(world.fresh.database, { ...dead, controlId: 'LAB-1', sender: 'LAB' });
    await signIn(OPERATOR_SCOPE, '#/dead');
    const row = world.page.getByRole('row').filter({ hasText: 'LAB:HOSPITAL' });
    await row.getByRole('link', { name: '1' }).click();
    await world.page.getByRole('link', { name: 'LAB-1' }).waitFor();
    expect(await world.page.locator('tbody tr').count()).toBe(1);
    await world.page.goBack();
    await row.waitFor();
    await world.page.route('**/hl7/dead', () => undefined);
    await world.fresh.database.run({
      text: `UPDATE hl7_inbound SET filing_outcome = 'filed' WHERE control_id = 'LAB-1'`,
    });
    await row.getByRole('button', { name: 'Discard' }).click();
    await world.page.getByText('Nothing of this is left').waitFor();
    expect(await world.page.getByRole('dialog').count()).toBe(0);
  });

  test('a value with a blank in it can be typed into the search, one around it does no harm, and the search stays', async () => {
    const { rejected } = await aDay();
    await signIn(OPERATOR_SCOPE, '#/messages');
    const reason = world.page.getByLabel('Reason');
    await reason.pressSequentially(' AR 204 ');
    await reason.press('Enter');
    const found = world.page.locator(`a[href$="${rejected}"]`);
    await found.waitFor();
    expect(await world.page.locator('tbody tr').count()).toBe(1);
    // Who comes back from a message goes on with the next one.
    await found.click();
    await world.page.locator('.facts').waitFor();
    await world.page.goBack();
    await found.waitFor();
    expect(await reason.inputValue()).toBe('AR 204');
    expect(await world.page.locator('tbody tr').count()).toBe(1);
  });

  test('what was asked for is not left before the server has said what became of it', async () => {
    await aDay();
    await signIn();
    const dialog = world.page.getByRole('dialog');
    let answer = () => undefined as unknown;
    await world.page.route('**/hl7/holds', async (route) => {
      await new Promise<unknown>((resolve) => {
        answer = () => resolve(undefined);
      });
      await route.continue();
    });
    await world.page.getByRole('button', { name: `Hold ${DESTINATION}` }).click();
    await dialog.getByLabel('Reason').fill('RIS upgrade');
    await dialog.getByRole('button', { name: 'Hold' }).click();
    await expect.poll(() => dialog.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(true);
    // A browser closes at the second one whatever the page says: it is open again at once.
    await world.press('Escape', 'Escape');
    await dialog.waitFor();
    answer();
    await world.page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
    expect(await dialog.count()).toBe(0);
    expect(await held()).toEqual([DESTINATION]);
  });

  test('where the server asks for a confirmation that the page did not foresee, it can be given', async () => {
    const report = { report: 'report-7', attempts: 1 };
    const dead = await logOutbound(world.fresh.database, { ...report, version: 2, state: 'rejected' });
    await logOutbound(world.fresh.database, { ...report, state: 'acknowledged' });
    await signIn(OPERATOR_SCOPE, `#/message/out/${dead.id}`);
    const dialog = world.page.getByRole('dialog');
    const resend = () => dialog.getByRole('button', { name: 'Resend same bytes' }).click();
    await world.page.getByRole('button', { name: 'Resend same bytes' }).click();
    await dialog.getByLabel('Reason').fill('they asked for it');
    expect(await world.page.getByRole('checkbox').count()).toBe(0);
    await resend();
    await dialog.getByRole('alert').getByText('or confirm').waitFor();
    await world.page.getByRole('checkbox').check();
    await world.shot('confirm');
    await resend();
    await world.page.getByText('The same bytes wait to be sent again.').waitFor();
    world.forgive(/409/);
  });

  test('a message can be downloaded as it came, by who may see it, and the log says so', async () => {
    const id = await logInbound(world.fresh.database, { controlId: 'CTRL1' });
    await signIn(PRIVILEGED_SCOPE, `#/message/in/${id}`);
    const [download] = await Promise.all([
      world.page.waitForEvent('download'),
      world.page.getByRole('button', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(`in-${id}.hl7`);
    expect(readFileSync(await download.path(), 'latin1')).toBe(ORDER);
    await expectText(world.page.locator('main'), ['download', 'operator-1']);
    await world.page.close();
    await signIn(OPERATOR_SCOPE, `#/message/in/${id}`);
    await world.page.getByRole('button', { name: 'Download' }).click();
    await world.page.getByText('system/Patient.r').waitFor();
    world.forgive(/403/);
  });

  test('a view that cannot be read any more says so, and so does one whose server has gone silent', async () => {
    await aDay();
    await signIn();
    await world.page.getByRole('row').filter({ hasText: 'lane-1' }).waitFor();
    await world.page.route('**/hl7/lanes', (route) => route.fulfill({ status: 503, body: '{}' }));
    await expectText(world.page.locator('main'), [
      'This is not up to date. The server answered 503.',
      'lane-1',
    ]);
    await world.shot('stale');
    await world.page.clock.install();
    await world.page.goto(`${world.server.url}/operator/#/dead`);
    await world.page.reload();
    await world.page.getByRole('row').filter({ hasText: 'AR 204' }).waitFor();
    await world.page.route('**/hl7/**', () => undefined);
    const live = world.page.locator('.live');
    const later = async () => {
      await world.page.clock.fastForward(LOOK_MS_MAX);
      return live.textContent();
    };
    await expect.poll(later).toContain('Not live since');
    await expectText(world.page.locator('main'), [
      'This is not up to date. The server does not answer.',
      'AR 204',
    ]);
    world.forgive(/503/);
  });

  test('older actions are a page away', async () => {
    await world.fresh.database.run({
      text: `INSERT INTO hl7_action (actor, action, reason) SELECT 'operator-1', 'hold', 'reason ' || n || '.' FROM generate_series(1, 201) AS n`,
    });
    await signIn(OPERATOR_SCOPE, '#/log');
    await world.page.getByText('reason 201.').waitFor();
    expect(await world.page.getByText('reason 1.', { exact: true }).count()).toBe(0);
    await world.page.getByRole('button', { name: 'Older' }).click();
    await world.page.getByText('reason 1.', { exact: true }).waitFor();
    await world.page.getByRole('button', { name: 'Newer' }).click();
    await world.page.getByText('reason 201.').waitFor();
  });

  test('everything can be done with the keyboard alone', async () => {
    await aDay();
    await signIn();
    const focused = () => world.page.evaluate('document.activeElement.textContent');
    const hold = `Hold ${DESTINATION}`;
    await world.page.getByRole('button', { name: hold }).press('Enter');
    await world.page.getByRole('dialog').waitFor();
    await world.page.keyboard.press('Escape');
    await world.page.getByRole('dialog').waitFor({ state: 'detached' });
    // The focus is back where it was.
    await expect.poll(focused).toBe(hold);
    await world.page.keyboard.press('Enter');
    await world.page.getByRole('dialog').waitFor();
    await world.page.getByLabel('Reason').focus();
    await world.page.keyboard.type('by keyboard');
    await world.page.keyboard.press('Tab');
    await world.page.keyboard.press('Tab');
    await world.page.keyboard.press('Enter');
    await world.page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
    await world.page.getByRole('link', { name: 'Dead letters' }).press('Enter');
    await world.page.getByRole('heading', { name: 'Dead letters' }).waitFor();
    await expect.poll(() => world.page.evaluate('document.activeElement.tagName')).toBe('H2');
    await world.page.goBack();
    await world.page.getByRole('heading', { name: 'Lanes' }).waitFor();
  });

  test('hostile text in every field stays text: nothing runs and nothing is asked from elsewhere', async () => {
    const evil = HOSTILE_TEXTS.join(' ');
    const raw = ORDER.replace('worried about her lung', evil.replaceAll('|', ''))
      .replace('Zwiebelkuchen', HOSTILE_TEXTS[0] ?? '')
      .replace('CT Chest', HOSTILE_TEXTS[1] ?? '');
    const ids: string[] = [];
    for (const [n, payload] of HOSTILE_TEXTS.entries())
      ids.push(
        await logInbound(world.fresh.database, {
          raw,
          controlId: `${payload}${n}`,
          type: payload,
          filing: payload,
          mrn: payload,
          accession: payload,
          sender: payload,
        }),
      );
    await logOutbound(world.fresh.database, {
      lane: HOSTILE_TEXTS[0] ?? '',
      error: HOSTILE_TEXTS[1] ?? '',
      attempts: 1,
    });
    await signIn(PRIVILEGED_SCOPE, '#/messages');
    await world.page.getByRole('row').nth(HOSTILE_TEXTS.length).waitFor();
    for (const view of ['dead', 'lanes', `message/in/${ids[0]}`]) {
      await world.page.goto(`${world.server.url}/operator/#/${view}`);
      await world.page.waitForTimeout(200);
    }
    await world.page.getByRole('button', { name: 'Show patient data' }).click();
    await world.page.getByRole('button', { name: 'Mask patient data' }).waitFor();
    await world.page.waitForTimeout(200);
    await world.expectNothingRan('img');
  });

  test('every text has a contrast of 7 to 1 or more and at least 16 px, and nothing runs over the edge, wide and narrow', async () => {
    const { held: id, rejected } = await aDay();
    await signIn();
    for (const width of [1440, 320]) {
      await world.page.setViewportSize({ width, height: 900 });
      for (const view of ['lanes', 'messages', 'dead', `message/in/${id}`, `message/out/${rejected}`]) {
        await world.page.goto(`${world.server.url}/operator/#/${view}`);
        await world.page.locator('main').locator('table, .facts').first().waitFor();
        await world.expectReadable(`${view} at ${width}`);
      }
      await world.shot(`narrow-${width}`);
    }
  });

  /** A lane that is blocked, a rejected result, a message that filing holds. */
  async function aDay() {
    await logOutbound(world.fresh.database, { lane: 'lane-1', minutesAgo: 20, error: 'AE 207', attempts: 3 });
    await logOutbound(world.fresh.database, { lane: 'lane-1', minutesAgo: 15 });
    await logOutbound(world.fresh.database, { lane: 'lane-1', minutesAgo: 10 });
    const { id: rejected } = await logOutbound(world.fresh.database, {
      lane: 'lane-2',
      state: 'rejected',
      error: 'AR 204',
      attempts: 1,
      minutesAgo: 30,
    });
    await logOutbound(world.fresh.database, {
      lane: 'lane-3',
      state: 'acknowledged',
      attempts: 1,
      minutesAgo: 5,
    });
    for (let n = 0; n < 6; n += 1)
      await logInbound(world.fresh.database, { controlId: `FILED-${n}`, minutesAgo: n });
    const id = await logInbound(world.fresh.database, {
      controlId: 'HELD-1',
      filing: 'fhir.multiple-matches',
      minutesAgo: 2,
    });
    return { held: id, rejected };
  }

  const held = async () =>
    (
      await world.fresh.database.run<{ destination: string }>({
        text: 'SELECT destination FROM hl7_destination',
      })
    ).map(({ destination }) => destination);
});
