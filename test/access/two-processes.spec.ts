import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REVOCATION_LOOK_MS_MAX } from '../../src/access/revocation-look.ts';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';
import { askWith, assertion, makeKey } from './client-key.ts';
import { appWithTokens, CALLBACK, post, putAccount, readStatus, registerClient } from './smart-app.ts';

/** Two processes of one server: one database, one folder with keys. */
let one: PrelimServer;
let two: PrelimServer;

beforeAll(async () => {
  const DATABASE_URL = (await freshDatabaseUrl()).replace('@/', '@localhost/');
  one = await PrelimServer.start({ LOG_LEVEL: 'error', DATABASE_URL });
  const BASE_URL = one.url;
  two = await PrelimServer.start({ LOG_LEVEL: 'error', DATABASE_URL, BASE_URL, PRELIM_DATA: one.folder });
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

/** By the process that was not told, and for good. */
async function refusedWithinTwoLooks(token: string): Promise<void> {
  await expect
    .poll(() => readStatus(two, token), { timeout: 2 * REVOCATION_LOOK_MS_MAX, interval: 100 })
    .toBe(401);
  expect(await readStatus(two, token)).toBe(401);
}
