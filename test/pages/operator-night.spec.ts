import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KEPT_MS_MAX } from '../../src/browser/kept-words.ts';
import { AlertWatch } from '../../src/steps/message-log/alert-watch.ts';
import { logInbound, logOutbound, ORDER, PRIVILEGED_SCOPE, startOperator } from '../hl7/operator-server.ts';
import { emptyMessageLog } from '../hl7/operator-world.ts';
import { describeWithPeer } from '../peers/required.ts';
import { expectText, NO_CHROMIUM, PageWorld, usePageWorld } from './page-world.ts';

const DESTINATION = 'ris.example:2576';
const LONG_NAME = 'regional-teaching-hospital-north-standby';
const DESTINATIONS_FILE = join(mkdtempSync(join(tmpdir(), 'prelim-night-')), 'destinations.json');
writeFileSync(
  DESTINATIONS_FILE,
  JSON.stringify({
    destinations: [{ name: LONG_NAME, url: 'mllp://10.0.0.9:2576', profile: 'ihe-rad-128' }],
  }),
);

describeWithPeer('the operator page at three in the morning', NO_CHROMIUM, () => {
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
  const storage = () => world.page.evaluate('JSON.stringify(sessionStorage)');

  async function expire(): Promise<void> {
    await world.page.route('**/hl7/**', (route) => route.fulfill({ status: 401, body: '{}' }));
    await world.page.getByText('it has expired. Sign in again.').waitFor();
    await world.page.unroute('**/hl7/**');
    world.forgive(/401/);
  }

  async function pasteToken(): Promise<void> {
    await world.page.getByLabel('Access token').fill(await world.server.token());
    await world.page.getByRole('button', { name: 'Sign in' }).click();
    await world.page.locator('.live', { hasText: 'Live' }).waitFor();
  }

  test('a reason that is being typed when the sign-in ends is there after the next one, for the same action only, and once', async () => {
    await signIn();
    const hold = (name: string) => world.page.getByRole('button', { name: `Hold ${name}` });
    const reason = world.page.getByRole('dialog').getByLabel('Reason');
    await hold(DESTINATION).click();
    await reason.fill('RIS upgrade, asked for by Dr Kern');
    await expire();
    expect(await world.page.getByRole('dialog').count()).toBe(0);
    // The sign-in pages are elsewhere: who comes back from them comes to a page that was loaded anew.
    await world.page.reload();
    await pasteToken();
    await world.page.getByText('The reason that you typed is kept').waitFor();
    await hold(LONG_NAME).click();
    expect(await reason.inputValue()).toBe('');
    await world.page.keyboard.press('Escape');
    await hold(DESTINATION).click();
    expect(await reason.inputValue()).toBe('RIS upgrade, asked for by Dr Kern');
    await expectText(world.page.getByRole('dialog'), ['Typed before the sign-in ended']);
    await world.shot('kept-reason');
    await world.page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
    await world.page.getByText(`Held: destination ${DESTINATION}.`).waitFor();
    expect(await storage()).not.toContain('Kern');
  });

  test('what was typed goes with a cancel, with the sign-out and with time; what names a patient is never kept', async () => {
    await signIn();
    const hold = world.page.getByRole('button', { name: `Hold ${DESTINATION}` });
    const reason = world.page.getByRole('dialog').getByLabel('Reason');
    await hold.click();
    await reason.fill('first');
    expect(await storage()).toContain('first');
    await world.page.keyboard.press('Escape');
    await expect.poll(storage).not.toContain('first');
    await hold.click();
    await reason.fill('second');
    await expire();
    await pasteToken();
    await world.page.getByRole('button', { name: 'Sign out' }).click();
    await world.page.getByLabel('Access token').waitFor();
    expect(await world.page.evaluate('sessionStorage.length')).toBe(0);
    await pasteToken();
    await hold.click();
    expect(await reason.inputValue()).toBe('');
    await reason.fill('third');
    await expire();
    await world.page.clock.install({ time: Date.now() + KEPT_MS_MAX + 60_000 });
    await world.page.reload();
    await pasteToken();
    await hold.click();
    expect(await reason.inputValue()).toBe('');
    expect(await storage()).not.toContain('third');
    await world.page.keyboard.press('Escape');
    await world.page.goto(`${world.server.url}/operator/#/messages`);
    await world.page.getByLabel('MRN').fill('4711');
    expect(await storage()).not.toContain('4711');
  });

  test('a message of many segments is read a part at a time, by the keyboard, masked in each of them', async () => {
    const body = ORDER.split('\r').slice(1, -1);
    const many = Array.from({ length: 200 }, () => body).flat();
    const raw = `${ORDER.split('\r', 1)[0]}\r${many.join('\r')}\r`;
    const id = await logInbound(world.fresh.database, { controlId: 'LONG', raw });
    const asked: string[] = [];
    await signIn(PRIVILEGED_SCOPE);
    world.page.on('request', (request) => asked.push(request.url().replace(/.*\/hl7\//, '')));
    await world.page.goto(`${world.server.url}/operator/#/message/in/${id}`);
    const main = world.page.locator('main');
    await expectText(main, ['Segments 1 to 500']);
    const next = world.page.getByRole('button', { name: 'Next part' });
    await next.focus();
    await world.page.keyboard.press('Enter');
    await expectText(main, ['Segments 501 to 1000']);
    await world.page.keyboard.press('Enter');
    await expectText(main, ['Segments 1001 to 1201, the last ones']);
    expect(await world.page.evaluate('document.activeElement.textContent')).toBe('Next part');
    // It is looked at again and again what became of the message, not what it says.
    const looks = () => asked.filter((path) => path.startsWith(`messages/in/${id}`));
    await expect.poll(looks, { timeout: 10_000 }).toContain(`messages/in/${id}?tree=none`);
    expect(looks().filter((path) => path === `messages/in/${id}?`)).toHaveLength(1);
    expect(await main.textContent()).not.toMatch(/Zwiebelkuchen|4711|Secret/);
    await world.shot('part');
    await world.page.getByRole('button', { name: 'Show patient data' }).click();
    await expectText(main, ['Segments 1 to 500', 'Zwiebelkuchen ^ Adelgunde']);
    await next.click();
    await expectText(main, ['Segments 501 to 1000', 'Zwiebelkuchen ^ Adelgunde']);
    await world.page.getByRole('button', { name: 'Part before' }).click();
    await expectText(main, ['Segments 1 to 500']);
    await world.page.getByRole('button', { name: 'Mask patient data' }).click();
    await world.page.getByText('Zwiebelkuchen ^ Adelgunde').first().waitFor({ state: 'detached' });
    await world.page.route('**/tree?*', (route) => route.fulfill({ status: 503, body: '{}' }));
    await next.click();
    await world.page.getByText('The server answered 503.').waitFor();
    await world.page.unroute('**/tree?*');
    await world.page.getByRole('button', { name: 'Try again' }).click();
    await expectText(main, ['Segments 501 to 1000']);
    world.forgive(/503/);
  });

  test('five hundred dead letters of four reasons are dealt with by the keyboard alone, in a narrow window', async () => {
    await aNight();
    await signIn();
    await expectText(world.page.locator('.alerts'), ['certificate', 'in 3 days', 'unsent', 'dead']);
    // Nothing that must be read or done is beyond the edge: not the reason, and not the button.
    for (const width of [1440, 1200, 1151, 1150, 900, 600, 400]) {
      await world.page.setViewportSize({ width, height: 800 });
      for (const view of ['lanes', 'dead', 'messages']) {
        await world.page.goto(`${world.server.url}/operator/#/${view}`);
        await world.page.locator('main table').first().waitFor();
        await world.shot(`night-${view}-${width}`);
        const beyond = await world.page.evaluate(
          `[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length`,
        );
        if (view !== 'messages' || width <= 1150) expect([view, width, beyond]).toEqual([view, width, 0]);
      }
    }
    await world.page.setViewportSize({ width: 900, height: 800 });
    await world.page.goto(`${world.server.url}/operator/#/lanes`);
    await world.page.getByRole('heading', { name: 'Lanes' }).waitFor();
    await tabTo(/^Dead letters$/);
    await world.page.keyboard.press('Enter');
    await world.page.getByRole('row').filter({ hasText: 'AR 204' }).waitFor();
    // Which of the buttons it is says its name, for who does not see the row.
    await tabTo(/^Resend same bytes AR 204, out regional/);
    await world.page.keyboard.press('Enter');
    const dialog = world.page.getByRole('dialog');
    await expectText(dialog, [
      'They are rejected with AR 204, to regional-teaching-hospital-north-standby.',
      'It is done to exactly the 150 counted now.',
    ]);
    await world.shot('night-count-900');
    await world.page.keyboard.type('the patients are known there since midnight');
    await tabTo(/^Resend same bytes \(150\)$/);
    await world.page.keyboard.press('Enter');
    await world.page.getByText('Done: 150 messages').waitFor();
    await world.page.getByRole('row').filter({ hasText: 'AR 204' }).waitFor({ state: 'detached' });
    await expectText(world.page.locator('main'), ['AE 207', 'hl7.ack-timeout', 'fhir.multiple-matches']);
    await world.shot('night-done-900');
    // The button is gone with its row: the keyboard goes on where the view begins, not at the top of the page.
    await expect.poll(() => world.page.evaluate('document.activeElement.tagName')).toBe('H2');
  }, 120_000);

  /** By the key alone, as far as the page is long. */
  async function tabTo(text: RegExp): Promise<void> {
    const seen: string[] = [];
    for (let n = 0; n < 120; n += 1) {
      const at = String(await world.page.evaluate('document.activeElement.textContent')).trim();
      if (text.test(at)) return;
      seen.push(at.slice(0, 40));
      await world.page.keyboard.press('Tab');
    }
    expect(seen, String(text)).toBe(text);
  }

  /** Both receivers are down, a lane stands behind its head, 500 messages wait for a person, a certificate ends soon. */
  async function aNight(): Promise<void> {
    const { database } = world.fresh;
    world.server.app.get(AlertWatch).useCertificates(() => [{ name: 'listener', days: 3.4 }]);
    const lane = (n: number) => `ris:${LONG_NAME}:patient-0f8fad5b-d9cb-469f-a165-70867728950e-${n}`;
    for (let n = 0; n < 12; n += 1) {
      const down = { destination: LONG_NAME, lane: lane(n), error: 'hl7.connection', attempts: 7 };
      await logOutbound(database, { ...down, minutesAgo: 190 - n });
      await logOutbound(database, { destination: LONG_NAME, lane: lane(n), minutesAgo: 100 - n });
    }
    await logOutbound(database, { lane: 'lane-1', error: 'AE 207', attempts: 40, minutesAgo: 240 });
    for (let n = 0; n < 30; n += 1) await logOutbound(database, { lane: 'lane-1', minutesAgo: 200 - n });
    const dead = async (count: number, state: string, error: string, destination: string) => {
      for (let n = 0; n < count; n += 1)
        await logOutbound(database, {
          state,
          error,
          destination,
          lane: lane(100 + n),
          minutesAgo: 300 - (n % 200),
        });
    };
    await dead(200, 'given-up', 'AE 207', DESTINATION);
    await dead(150, 'rejected', 'AR 204', LONG_NAME);
    await dead(100, 'dead', 'hl7.ack-timeout', LONG_NAME);
    for (let n = 0; n < 50; n += 1)
      await logInbound(database, {
        controlId: `20260301080000.${'0'.repeat(8)}${n}.regional-teaching-hospital`,
        filing: 'fhir.multiple-matches',
        sender: 'HOSPITAL-INFORMATION-SYSTEM-NORTH',
        minutesAgo: n,
      });
  }
});
