import { randomUUID } from 'node:crypto';
import { decodeProtectedHeader, exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingKeyIn } from '../../src/access/signing-key.ts';
import { askWith, assertion, makeKey, nowS, type TestKey } from '../access/client-key.ts';
import {
  appWithTokens,
  beginAt,
  CALLBACK,
  clientResource,
  post,
  putAccount,
  readStatus,
  registerClient,
  signIn,
  token,
  tradeCode,
  walk,
} from '../access/smart-app.ts';
import { TextBrowser } from '../access/text-browser.ts';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';

/** T33: whatever looks like a token, a code, or an assertion, and is not the one that is asked for, is refused. */
let server: PrelimServer;
let rsa: TestKey;
let ec: TestKey;

beforeAll(async () => {
  server = await freshServer({ LOG_LEVEL: 'error' });
  await putAccount(server, 'kern', ['clinician']);
  const scope = 'openid fhirUser offline_access user/*.rs';
  for (const id of ['app', 'app-two'])
    await registerClient(server, id, { scope, redirectUris: [CALLBACK], public: true, preapproved: true });
  [rsa, ec] = await Promise.all([makeKey('RS384'), makeKey('ES384')]);
  const jwks = { keys: [rsa.publicJwk, ec.publicJwk] };
  await registerClient(server, 'backend', { scope: 'system/Patient.rs system/Observation.r', jwks });
  await registerClient(server, 'strict', { scope: 'system/Patient.rs', jwks, alg: 'ES384' });
  await registerClient(server, 'other', { scope: 'system/Patient.rs', jwks });
});

afterAll(() => server.close());

describe('T33 access tokens', () => {
  /** Claims of a token of ours. */
  const claims = () => ({ client_id: 'local', scope: 'system/*.cruds', sub: 'local', jti: randomUUID() });
  const own = async () => (await signingKeyIn(server.folder)).current();

  async function forged(change: {
    header?: object;
    iss?: string;
    aud?: string;
    exp?: number;
    iat?: number;
    without?: string;
  }) {
    const key = await own();
    const { header = {}, iss = 'prelim-local', aud = 'prelim', exp = nowS() + 60, iat = nowS() } = change;
    const payload: Record<string, unknown> = { ...claims(), iss, aud, exp, iat };
    if (change.without) delete payload[change.without];
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  it('the very token that the refused ones differ from is taken', async () => {
    expect(await readStatus(server, await forged({}))).toBe(200);
  });

  it('an ID token is no access token', async () => {
    const { answer } = await appWithTokens(server, 'app', 'openid user/Patient.rs', 'kern');
    expect(await readStatus(server, answer.id_token)).toBe(401);
    expect(await readStatus(server, answer.access_token)).toBe(200);
  });

  it.each([
    ['for another audience', { aud: 'https://elsewhere.example/fhir' }],
    ['of another issuer with the same key id', { iss: 'https://elsewhere.example' }],
    ['of another type', { header: { typ: 'JWT' } }],
    ['without a type', { header: { typ: undefined } }],
    ['expired by 31 seconds', { exp: nowS() - 31, iat: nowS() - 100 }],
    ['issued in the future', { iat: nowS() + 600, exp: nowS() + 900 }],
    ['issued longer ago than any of ours lives', { iat: nowS() - 13 * 3_600 }],
    ['without an end', { without: 'exp' }],
    ['without an id', { without: 'jti' }],
    ['without a client', { without: 'client_id' }],
    ['without scopes', { without: 'scope' }],
    ['without a subject', { without: 'sub' }],
    ['of a key nobody has', { header: { kid: randomUUID() } }],
  ])('one %s is refused', async (_title, change) => {
    expect(await readStatus(server, await forged(change))).toBe(401);
  });

  it('one signed by another key under our key id is refused', async () => {
    const stranger = await makeKey('ES256', (await own()).kid);
    const made = await new SignJWT({
      ...claims(),
      iss: 'prelim-local',
      aud: 'prelim',
      exp: nowS() + 60,
      iat: nowS(),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: stranger.kid })
      .sign(stranger.privateKey);
    expect(await readStatus(server, made)).toBe(401);
  });

  it('the algorithm cannot be changed: HS256 with our public key as the secret, RS256 with our ID token key, none', async () => {
    const key = await own();
    const content = { ...claims(), iss: 'prelim-local', aud: 'prelim', exp: nowS() + 60, iat: nowS() };
    const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(key.publicKey)));
    const hs = await new SignJWT(content)
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: key.kid })
      .sign(secret);
    const idKey = await (await signingKeyIn(server.folder)).current('RS256');
    const rs = await new SignJWT(content)
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: idKey.kid })
      .sign(idKey.privateKey);
    const none = new UnsecuredJWT(content).encode();
    const good = await forged({});
    const unsigned = good.slice(0, good.lastIndexOf('.') + 1);
    for (const made of [hs, rs, none, unsigned, `${good}x`, 'x'.repeat(9_000)])
      expect(await readStatus(server, made)).toBe(401);
  });
});

describe('T33 refresh tokens', () => {
  const refresh = (refresh_token: string, more: Record<string, string> = {}, client_id = 'app') =>
    token(server, { grant_type: 'refresh_token', refresh_token, client_id, ...more });
  const begun = async (scope = 'offline_access user/Patient.rs user/Observation.rs') =>
    (await appWithTokens(server, 'app', scope, 'kern')).answer;

  it('one that was revoked gives nothing, and its access token has ended', async () => {
    const given = await begun();
    const form = { token: given.refresh_token, client_id: 'app' };
    expect((await post(server, '/auth/revoke', form)).status).toBe(200);
    expect((await refresh(given.refresh_token)).body.error).toBe('invalid_grant');
    expect(await readStatus(server, given.access_token)).toBe(401);
  });

  it('another client’s gives nothing, and goes on for its own', async () => {
    const given = await begun();
    expect((await refresh(given.refresh_token, {}, 'app-two')).body.error).toBe('invalid_grant');
    expect((await refresh(given.refresh_token)).status).toBe(200);
  });

  it('more than was approved is never given; less holds for that token only, and it refreshes on', async () => {
    const given = await begun();
    const more = await refresh(given.refresh_token, {
      scope: 'offline_access user/*.cruds system/*.cruds user/Patient.cruds',
    });
    expect(more.body.scope.split(' ').sort()).toEqual(
      ['offline_access', 'user/Observation.rs', 'user/Patient.rs'].sort(),
    );
    const less = await refresh(more.body.refresh_token, { scope: 'user/Patient.r' });
    expect(less.body.scope).toBe('user/Patient.r');
    expect(await readStatus(server, less.body.access_token, '/fhir/Observation?_count=1')).toBe(403);
    const all = await refresh(less.body.refresh_token);
    expect(all.body.scope).toBe(given.scope);
  });

  it('what an administrator took out of the registration is given no more; a client put away ends at once, in all its tokens', async () => {
    const entry = { redirectUris: [CALLBACK], public: true, preapproved: true };
    const wide = 'offline_access user/Patient.rs user/Observation.rs';
    const id = await registerClient(server, 'fading', { ...entry, scope: wide });
    const put = async (change: object) => {
      const resource = { ...clientResource('fading', { ...entry, scope: wide, ...change }), id };
      expect((await server.ask('PUT', `/fhir/Basic/${id}`, resource)).status).toBe(200);
    };
    const { answer } = await appWithTokens(server, 'fading', wide, 'kern');
    await put({ scope: 'offline_access user/Patient.rs' });
    const cut = await refresh(answer.refresh_token, {}, 'fading');
    expect(cut.body.scope).toBe('offline_access user/Patient.rs');
    expect(await readStatus(server, cut.body.access_token)).toBe(200);
    await put({ active: false });
    await until(async () => (await readStatus(server, cut.body.access_token)) === 401);
    // Put back, nothing of before lives again.
    await put({ active: true });
    expect((await refresh(cut.body.refresh_token, {}, 'fading')).body.error).toBe('invalid_grant');
    expect(await readStatus(server, answer.access_token)).toBe(401);
  });

  it('the secret of a client that was renamed is worth nothing to who takes its name', async () => {
    const entry = { scope: 'system/Patient.rs' };
    const id = await registerClient(server, 'was-here', entry);
    const made = await server.ask('POST', '/auth/clients/was-here/secret', {});
    const ask = () =>
      token(server, {
        grant_type: 'client_credentials',
        client_id: 'was-here',
        client_secret: made.body.client_secret,
      });
    expect((await ask()).status).toBe(200);
    await server.ask('PUT', `/fhir/Basic/${id}`, { ...clientResource('is-there', entry), id });
    await registerClient(server, 'was-here', entry);
    expect((await ask()).body.error).toBe('invalid_client');
  });
});

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 100; round++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it does not come');
}

describe('T33 codes', () => {
  it('a code used twice gives nothing the second time, and ends what it gave the first', async () => {
    const { begun, code, answer } = await appWithTokens(
      server,
      'app',
      'offline_access user/Patient.rs',
      'kern',
    );
    expect(await readStatus(server, answer.access_token)).toBe(200);
    const second = await tradeCode(server, begun, code);
    expect([second.status, second.body.error]).toEqual([400, 'invalid_grant']);
    expect(await readStatus(server, answer.access_token)).toBe(401);
    const refreshed = await token(server, {
      grant_type: 'refresh_token',
      refresh_token: answer.refresh_token,
      client_id: 'app',
    });
    expect(refreshed.body.error).toBe('invalid_grant');
  });

  it('a code traded 20 times at once gives tokens once, and those are ended', async () => {
    const begun = beginAt(server, 'app', 'user/Patient.rs');
    const code = (await walk(begun, 'kern')).get('code') ?? '';
    const answers = await Promise.all(Array.from({ length: 20 }, () => tradeCode(server, begun, code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it.each([
    ['without the verifier', { code_verifier: '' }],
    ['with another verifier', { code_verifier: 'a'.repeat(43) }],
    ['for another address', { redirect_uri: `${CALLBACK}/` }],
    ['by another client', { client_id: 'app-two' }],
    ['by a page of ours', { client_id: 'worklist' }],
  ])('a code %s gives nothing', async (_title, more) => {
    const begun = beginAt(server, 'app', 'user/Patient.rs');
    const code = (await walk(begun, 'kern')).get('code') ?? '';
    const answer = await tradeCode(server, begun, code, more);
    const isPage = 'client_id' in more && more.client_id === 'worklist';
    expect([answer.status, answer.body.error]).toEqual([
      400,
      isPage ? 'unauthorized_client' : 'invalid_grant',
    ]);
  });

  it.each([
    ['PKCE plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no PKCE method, which means plain', { code_challenge_method: null }, 'invalid_request'],
    ['no challenge', { code_challenge: null }, 'invalid_request'],
    ['no state', { state: null }, 'invalid_request'],
    ['another FHIR server as audience', { aud: 'https://elsewhere.example/fhir' }, 'invalid_request'],
    ['the implicit flow', { response_type: 'token' }, 'unsupported_response_type'],
    ['a scope that only looks like one', { scope: 'user/Patient.rsx' }, 'invalid_scope'],
    ['rights of a system', { scope: 'system/*.cruds' }, 'invalid_scope'],
    ['parameters in a token', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
    ['parameters elsewhere', { request_uri: 'https://evil.example/r' }, 'request_uri_not_supported'],
    ['an answer in the fragment', { response_mode: 'fragment' }, 'invalid_request'],
    ['no page and a sign-in', { prompt: 'none login' }, 'invalid_request'],
    ['a sign-in of no age', { max_age: '-1' }, 'invalid_request'],
  ])('a request with %s comes back refused', async (_title, more, error) => {
    const at = await new TextBrowser().open(beginAt(server, 'app', 'user/Patient.rs', more).url, CALLBACK);
    expect(new URL(at).searchParams.get('error')).toBe(error);
  });

  it.each([
    ['with an added path', `${CALLBACK}/more`],
    ['with an added query', `${CALLBACK}?x=1`],
    ['on another host that begins alike', 'https://app.example.evil/callback'],
    ['with a user in front of another host', 'https://app.example@evil.example/callback'],
    ['in other letters', 'https://app.example/Callback'],
  ])('a redirect URI %s is answered with a page, and leads nowhere', async (_title, uri) => {
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'app', 'user/Patient.rs', { redirect_uri: uri }).url);
    expect([browser.status, browser.headers.get('location')]).toEqual([400, null]);
    expect(browser.text).not.toContain('evil');
  });

  it('a page of sign-in is worth nothing in another browser', async () => {
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'app', 'user/Patient.rs').url);
    const thief = new TextBrowser();
    await thief.open(browser.url);
    expect([thief.status, thief.text.includes('sign-in')]).toEqual([400, false]);
  });

  it('max_age: who signed in longer ago is asked again, and a moment ago is not', async () => {
    const browser = new TextBrowser();
    const open = (more: Record<string, string>) =>
      browser.open(beginAt(server, 'app', 'user/Patient.rs', more).url, CALLBACK);
    await open({});
    await signIn(browser, 'kern');
    expect(await open({ max_age: '600' })).toContain('code=');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await open({ max_age: '0' });
    expect(browser.text).toContain('action="sign-in"');
    expect(await signIn(browser, 'kern')).toContain('code=');
  });

  it('a parameter that stands twice is refused', async () => {
    const { url } = beginAt(server, 'app', 'user/Patient.rs');
    await new TextBrowser().open(`${url}&client_id=other`).then(() => undefined);
    const twice = await fetch(`${url}&client_id=other`, { redirect: 'manual' });
    expect(twice.status).toBe(400);
    const body = 'grant_type=client_credentials&grant_type=client_credentials&client_id=x&client_secret=y';
    const form = await fetch(`${server.url}/auth/token`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(form.status).toBe(400);
  });
});

describe('T33 the twelve checks of a client assertion', () => {
  it('a right one, signed RS384 or ES384, for the token endpoint or the issuer, gives a token for five minutes', async () => {
    for (const key of [rsa, ec])
      for (const aud of [`${server.url}/auth/token`, server.url]) {
        const answer = await askWith(server, await assertion(server, key, 'backend', { aud }));
        expect(answer.body).toMatchObject({
          token_type: 'Bearer',
          expires_in: 300,
          scope: 'system/Patient.rs',
        });
        expect(await readStatus(server, answer.body.access_token)).toBe(200);
        expect(decodeProtectedHeader(answer.body.access_token)).toMatchObject({
          alg: 'ES256',
          typ: 'at+jwt',
        });
        expect([answer.headers.get('cache-control'), answer.headers.get('pragma')]).toEqual([
          'no-store',
          'no-cache',
        ]);
      }
  });

  it('1: a body that is no token request by its size is refused before anything is verified', async () => {
    const answer = await askWith(server, 'x'.repeat(20_000));
    expect([answer.status, answer.body.error]).toEqual([413, 'invalid_request']);
  });

  it('2: another assertion type, another grant, scopes of a person', async () => {
    const made = await assertion(server, ec, 'backend');
    expect((await askWith(server, made, { client_assertion_type: 'jwt' })).body.error).toBe(
      'invalid_request',
    );
    const wrongGrant = await askWith(server, made, {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    });
    expect([wrongGrant.status, wrongGrant.body.error]).toEqual([400, 'unsupported_grant_type']);
    expect((await askWith(server, made, { scope: 'user/Patient.rs' })).body.error).toBe('invalid_scope');
  });

  it.each([
    ['RS256, which is not for clients', { alg: 'RS256' }, 'rsa'],
    ['no key id', { kid: undefined }, 'ec'],
    ['an unknown key id', { kid: randomUUID() }, 'ec'],
    ['a type of its own', { typ: 'at+jwt' }, 'ec'],
    ['a key set that it names itself', { jku: 'https://evil.example/jwks' }, 'ec'],
    ['certificates of its own', { x5c: ['AA=='] }, 'ec'],
    ['an address of certificates', { x5u: 'https://evil.example/x' }, 'ec'],
    ['a key in its header', { jwk: { kty: 'EC' } }, 'ec'],
    ['the id of a key of another kind', 'kid of rsa', 'ec'],
    ['a key id that is a path', { kid: '../../../../dev/null' }, 'ec'],
    ['a key id that is SQL', { kid: "x' OR '1'='1" }, 'ec'],
    ['a key id that is a list', { kid: ['x'] }, 'ec'],
    ['an extension that it calls critical', { crit: ['b64'], b64: true }, 'ec'],
  ])('3 and 5: %s', async (_title, header, which) => {
    const changed = header === 'kid of rsa' ? { kid: rsa.kid } : (header as Record<string, unknown>);
    const key = which === 'rsa' ? { ...rsa, privateKey: (await makeKey('RS256')).privateKey } : ec;
    await expectRefused(await assertion(server, key, 'backend', {}, changed));
  });

  it('3: an algorithm other than the registered one', async () => {
    await expectRefused(await assertion(server, rsa, 'strict'));
    expect((await askWith(server, await assertion(server, ec, 'strict'))).status).toBe(200);
  });

  it('4: issuer and subject that differ, an unknown client, a client_id beside it that is another', async () => {
    await expectRefused(await assertion(server, ec, 'backend', { sub: 'other' }));
    await expectRefused(await assertion(server, ec, 'nobody'));
    const made = await assertion(server, ec, 'backend');
    expect((await askWith(server, made, { client_id: 'other' })).body.error).toBe('invalid_client');
  });

  it('6: a signature by another key, and none', async () => {
    const stranger = await makeKey('ES384', ec.kid);
    await expectRefused(await assertion(server, stranger, 'backend'));
    const made = await assertion(server, ec, 'backend');
    await expectRefused(made.slice(0, made.lastIndexOf('.') + 1));
    const payload = { iss: 'backend', sub: 'backend', aud: server.url, exp: nowS() + 60, jti: randomUUID() };
    await expectRefused(new UnsecuredJWT(payload).encode());
  });

  it.each([
    ['7: another audience', { aud: 'https://elsewhere.example/token' }],
    ['7: a list of audiences, though we are in it', { aud: ['https://elsewhere.example', 'OWN'] }],
    ['7: no audience', { aud: undefined }],
    ['8: no end', { exp: undefined }],
    ['8: an end more than five minutes away', { exp: nowS() + 3_600 }],
    ['8: an end 31 seconds ago', { exp: nowS() - 31 }],
    ['8: an end that is no whole second', { exp: nowS() + 60.5 }],
    ['9: issued in the future', { iat: nowS() + 120 }],
    ['9: not valid yet', { nbf: nowS() + 120 }],
    ['10: no id', { jti: undefined }],
    ['10: an empty id', { jti: '' }],
    ['10: an id of 256 characters', { jti: 'x'.repeat(256) }],
  ])('%s', async (_title, claims) => {
    const { aud } = claims as { aud?: unknown };
    const changed = Array.isArray(aud) ? { aud: [aud[0] as string, `${server.url}/auth/token`] } : claims;
    await expectRefused(await assertion(server, ec, 'backend', changed as never));
  });

  it('10: the same assertion 50 times at once gives one token', async () => {
    const made = await assertion(server, ec, 'backend');
    const answers = await Promise.all(Array.from({ length: 50 }, () => askWith(server, made)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body.error))).toEqual(new Set([undefined, 'invalid_client']));
  });

  it('10: an id that another client used, or that failed, is free; one that was used is not, after kill -9 neither', async () => {
    const jti = randomUUID();
    const stranger = await makeKey('ES384', ec.kid);
    await expectRefused(await assertion(server, stranger, 'backend', { jti }));
    expect((await askWith(server, await assertion(server, ec, 'other', { jti }))).status).toBe(200);
    const made = await assertion(server, ec, 'backend', { jti });
    expect((await askWith(server, made)).status).toBe(200);
    await server.kill('SIGKILL');
    await server.start();
    await expectRefused(made);
  }, 60_000);

  it('11: more than was registered is not granted', async () => {
    const made = await assertion(server, ec, 'backend');
    const answer = await askWith(server, made, { scope: 'system/Patient.cruds system/Task.r' });
    expect(answer.body.scope).toBe('system/Patient.rs');
  });

  it('12: every refusal reads the same', async () => {
    const texts = new Set<string>();
    for (const made of [
      await assertion(server, ec, 'nobody'),
      await assertion(server, ec, 'backend', { exp: nowS() - 60 }),
      await assertion(server, await makeKey('ES384', ec.kid), 'backend'),
    ])
      texts.add(JSON.stringify((await askWith(server, made)).body));
    expect(texts.size).toBe(1);
  });
});

async function expectRefused(made: string): Promise<void> {
  const answer = await askWith(server, made);
  expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client']);
}
