import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REVOCATION_LOOK_MS_MAX } from '../../src/access/revocation-look.ts';
import { SHARE_MS } from '../../src/http/shared-rates.ts';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';
import { askWith, assertion, makeKey } from './client-key.ts';
import { appWithTokens, CALLBACK, post, putAccount, readStatus, registerClient } from './smart-app.ts';

/** Two processes of one server: one database, one folder with keys. */
let one: PrelimServer;
let two: PrelimServer;
const CLIENT_PER_SECOND = 20;

beforeAll(async () => {
  const DATABASE_URL = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  const settings = { LOG_LEVEL: 'error', DATABASE_URL, RATE_CLIENT_PER_SECOND: String(CLIENT_PER_SECOND) };
  one = await PrelimServer.start(settings);
  two = await PrelimServer.start({ ...settings, BASE_URL: one.url, PRELIM_DATA: one.folder });
  await putAccount(one, 'kern', ['clinician']);
  const scope = 'offline_access user/*.rs';
  await registerClient(one, 'app', { scope, redirectUris: [CALLBACK], public: true, preapproved: true });
}, 120_000);

afterAll(async () => {
  await two?.close();
  await one?.close();
});

describe('two processes', () => {
  it('take an assertion once between them, however it is spread', async () => {
    const key = await makeKey('ES384');
    await registerClient(one, 'backend', { scope: 'system/Patient.rs', jwks: { keys: [key.publicJwk] } });
    const made = await assertion(one, key, 'backend');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => askWith(at % 2 === 0 ? one : two, made)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('know each other’s tokens, and refuse within two looks what the other ended', async () => {
    const { answer } = await appWithTokens(one, 'app', 'offline_access user/Patient.rs', 'kern');
    expect(await readStatus(two, answer.access_token)).toBe(200);
    await post(one, '/auth/revoke', { token: answer.refresh_token, client_id: 'app' });
    expect(await readStatus(one, answer.access_token)).toBe(401);
    await refusedWithinTwoLooks(answer.access_token);
  });

  it('count what a client asks of both against one limit, and nobody else by it', async () => {
    const [greedy, modest] = await Promise.all(['greedy', 'modest'].map(tokenOf));
    const status = async (server: PrelimServer, authorization: string) =>
      (await server.ask('GET', '/fhir/Patient/none', undefined, { authorization })).status;
    expect(await status(two, greedy as string)).toBe(404);
    const answers = await Promise.all(Array.from({ length: 150 }, () => status(one, greedy as string)));
    // What may come at once, and what a second or two of asking adds.
    expect(answers.filter((answer) => answer === 404).length).toBeLessThan(5 * CLIENT_PER_SECOND);
    expect(answers).toContain(429);
    let asked = 0;
    const refused = async () => {
      asked += 1;
      return status(two, greedy as string);
    };
    await expect.poll(refused, { timeout: 5 * SHARE_MS, interval: 25 }).toBe(429);
    // Alone it had let through twice as many at once, and went on with as many a second.
    expect(asked).toBeLessThan(2 * CLIENT_PER_SECOND);
    expect(await status(two, modest as string)).toBe(404);
    // What is owed is paid with time.
    await expect.poll(() => status(two, greedy as string), { timeout: 15_000, interval: 200 }).toBe(404);
  });

  it('remember what was ended when they start again', async () => {
    const { answer } = await appWithTokens(one, 'app', 'offline_access user/Patient.rs', 'kern');
    await post(one, '/auth/revoke', { token: answer.access_token, client_id: 'app' });
    await one.kill('SIGKILL');
    await one.start();
    expect(await readStatus(one, answer.access_token)).toBe(401);
  }, 60_000);

  it('follow a rotation of keys by the other', async () => {
    const { answer } = await appWithTokens(one, 'app', 'user/Patient.rs', 'kern');
    expect(await readStatus(two, answer.access_token)).toBe(200);
    await one.ask('POST', '/auth/keys/rotate', '{"compromised":true}', {
      'content-type': 'application/json',
    });
    await refusedWithinTwoLooks(answer.access_token);
    const next = await appWithTokens(one, 'app', 'user/Patient.rs', 'kern');
    expect(await readStatus(two, next.answer.access_token)).toBe(200);
  });
});

/** A client of this name, and what it sends to be known. */
async function tokenOf(id: string): Promise<string> {
  const key = await makeKey('ES384');
  await registerClient(one, id, { scope: 'system/Patient.rs', jwks: { keys: [key.publicJwk] } });
  const { body } = await askWith(one, await assertion(one, key, id));
  return `Bearer ${body.access_token}`;
}

/** By the process that was not told, and for good. */
async function refusedWithinTwoLooks(token: string): Promise<void> {
  await expect
    .poll(() => readStatus(two, token), { timeout: 2 * REVOCATION_LOOK_MS_MAX, interval: 100 })
    .toBe(401);
  expect(await readStatus(two, token)).toBe(401);
}
