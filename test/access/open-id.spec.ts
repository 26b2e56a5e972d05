import { generateKeyPair } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshServer } from '../fresh-server.ts';
import { EhrPeer } from '../peers/ehr.ts';
import { OpenIdProviderPeer } from '../peers/openid-provider.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { beginAt, CALLBACK, post, readStatus, registerClient, tradeCode } from './smart-app.ts';
import { TextBrowser } from './text-browser.ts';

/** People of a hospital that has an OpenID provider, and tokens of an authorization server that stands in front of us. */
let provider: OpenIdProviderPeer;
let server: PrelimServer;
let ehr: EhrPeer;
/** Two that take no secret, but an assertion that we sign. */
let signedFor: Record<'RS384' | 'ES384', EhrPeer>;

beforeAll(async () => {
  const [RS384, ES384] = await Promise.all([EhrPeer.start(), EhrPeer.start()]);
  signedFor = { RS384, ES384 };
  [provider, ehr] = await Promise.all([OpenIdProviderPeer.start(), EhrPeer.start()]);
  server = await freshServer({
    LOG_LEVEL: 'error',
    AUTH_OPENID: JSON.stringify({
      issuer: provider.issuer,
      clientId: provider.clientId,
      clientSecret: provider.clientSecret,
      name: 'Hospital account',
      rolesClaim: 'realm_access.roles',
      roles: { 'radiology-doctors': 'radiologist', 'it-admins': 'administrator' },
      fhirUserClaim: 'https://hospital.example/fhirUser',
    }),
    AUTH_EHRS: JSON.stringify([
      ehr.settings({ patientSystemHere: 'urn:here:mrn', roles: { physician: 'radiologist' } }),
      ...(['RS384', 'ES384'] as const).map((alg) =>
        signedFor[alg].settingsWithKey(alg, { patientSystemHere: 'urn:here:mrn', everybody: ['clinician'] }),
      ),
    ]),
    AUTH_ISSUERS: JSON.stringify([
      {
        issuer: provider.issuer,
        audience: 'https://prelim.hospital.example/fhir',
        jwksUri: provider.jwksUri,
        algorithms: ['RS256'],
        decodesScopes: true,
        scopes: { 'prelim-read': 'user/*.rs' },
        rolesClaim: 'realm_access.roles',
        roles: { 'radiology-doctors': 'radiologist' },
      },
    ]),
  });
  const scope = 'openid fhirUser user/*.rs';
  await registerClient(server, 'app', { scope, redirectUris: [CALLBACK], public: true, preapproved: true });
});

afterAll(async () => {
  await server.close();
  await provider.stop();
  await Promise.all([ehr, ...Object.values(signedFor)].map((peer) => peer.stop()));
});

beforeEach(() => {
  provider.claims = {
    sub: 'u-1',
    realm_access: { roles: ['radiology-doctors', 'offline_access', 'auditor'] },
    'https://hospital.example/fhirUser': 'Practitioner/p-1',
  };
  provider.spoil = (payload) => payload;
  provider.otherKey = null;
});

/** Follows the link to the provider. Gives where it ends. */
async function signInThere(browser: TextBrowser): Promise<string> {
  const link = /href="(open-id\/start[^"]*)"/.exec(browser.text)?.[1] ?? '';
  return browser.open(new URL(link, browser.url).href, CALLBACK);
}

describe('sign-in with the OpenID provider of the hospital', () => {
  it('brings the person back with the roles its groups map to, and no other', async () => {
    const begun = beginAt(server, 'app', 'openid fhirUser user/*.rs');
    const browser = new TextBrowser();
    await browser.open(begun.url);
    expect(browser.text).toContain('Sign in with Hospital account');
    const at = new URL(await signInThere(browser));
    const { body } = await tradeCode(server, begun, at.searchParams.get('code') ?? '');
    expect(body).toMatchObject({ fhirUser: 'Practitioner/p-1', scope: 'openid fhirUser user/*.rs' });
    const said = await post(server, '/auth/introspect', { token: body.access_token }, await introspector());
    expect(said.body).toMatchObject({ active: true, sub: `${provider.issuer}#u-1` });
    const claims = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString());
    expect(claims.roles).toEqual(['radiologist']);
  });

  it.each<[string, (token: Record<string, unknown>) => Record<string, unknown>]>([
    ['another audience', (token) => ({ ...token, aud: 'other' })],
    ['another issuer', (token) => ({ ...token, iss: 'https://evil.example' })],
    ['another nonce', (token) => ({ ...token, nonce: 'x' })],
    ['no nonce', ({ nonce: _gone, ...token }) => token],
    ['an end that is past', (token) => ({ ...token, exp: 1_000 })],
    ['a signature of somebody else', (token) => token],
  ])('an ID token with %s signs nobody in', async (title, spoil) => {
    provider.spoil = spoil;
    if (title.startsWith('a signature')) provider.otherKey = (await generateKeyPair('RS256')).privateKey;
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'app', 'openid').url);
    await signInThere(browser);
    expect([browser.status, browser.text.includes('did not sign you in')]).toEqual([401, true]);
    expect(browser.cookie(new URL(server.url).host, 'prelim_session')).toBeUndefined();
  });

  it('an answer with another state, in another browser, or for the second time is refused', async () => {
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'app', 'openid').url);
    const link = /href="(open-id\/start[^"]*)"/.exec(browser.text)?.[1] ?? '';
    const back = `${server.url}/auth/open-id/callback`;
    const at = await browser.open(new URL(link, browser.url).href, back);
    const forged = new URL(at);
    forged.searchParams.set('state', `${forged.searchParams.get('state')}x`);
    await browser.open(forged.href);
    expect(browser.status).toBe(400);
    const other = new TextBrowser();
    await other.open(at);
    expect(other.status).toBe(400);
    expect(await browser.open(at, CALLBACK)).toContain('code=');
    await browser.open(at);
    expect(browser.status).toBe(400);
  });
});

describe('a launch by an EHR that signs in by itself', () => {
  const there = (id: string, ...numbers: object[]) =>
    ehr.patients.set(id, { resourceType: 'Patient', id, identifier: numbers });
  const number = (value: string, more: object = {}) => ({ system: 'urn:ehr:mrn', value, ...more });
  const here = (value: string, more: object = {}) =>
    server.ask('POST', '/fhir/Patient', {
      resourceType: 'Patient',
      identifier: [{ system: 'urn:here:mrn', value }],
      ...more,
    });

  beforeAll(async () => {
    for (const value of ['1', '2', '2']) await here(value);
    await here('3', { active: false });
    there('one', number('1'), number('0', { use: 'old' }));
    there('two', number('2'));
    there('away', number('3'));
    there('unknown', number('4'));
    there('several', number('1'), number('9'));
    there('none', { system: 'urn:other', value: '1' });
    ehr.patients.set('swapped', { resourceType: 'Patient', id: 'one', identifier: [number('1')] });
  });
  beforeEach(() => {
    ehr.claims = { sub: 'dr-1', roles: ['physician'] };
    ehr.spoil = (payload) => payload;
  });

  const page = () => `${server.url}/worklist/`;
  const begin = (patient: string | null, more: Record<string, string | null> = {}) =>
    beginAt(server, 'worklist', 'launch openid fhirUser user/*.rs', {
      redirect_uri: page(),
      ehr: ehr.iss,
      launch: ehr.launch(patient),
      ...more,
    });

  it('opens the page for the patient with the same number, as whom the EHR says it is', async () => {
    const begun = begin('one');
    const browser = new TextBrowser();
    const at = new URL(await browser.open(begun.url, page()));
    const form = {
      client_id: 'worklist',
      code: at.searchParams.get('code') ?? '',
      redirect_uri: page(),
      code_verifier: begun.verifier,
    };
    const own = { origin: server.url, 'x-prelim-csrf': '1' };
    const session = await post(server, '/auth/page-session', form, own);
    const found = await server.ask('GET', '/fhir/Patient?identifier=urn:here:mrn%7C1');
    expect(session.body).toMatchObject({ patient: found.body.entry[0].resource.id });
    const audited = await server.ask('GET', `/fhir/AuditEvent?_sort=-date&_count=20`, undefined, {
      authorization: `Bearer ${await server.issueFor({ clientId: 'auditing', scope: 'system/AuditEvent.rs' })}`,
    });
    expect(audited.text).toContain(`${ehr.url}#dr-1`);
  });

  it.each([
    ['whose number is that of two here', 'two', 403],
    ['who is put away here', 'away', 403],
    ['who is unknown here', 'unknown', 403],
    ['with two numbers', 'several', 401],
    ['without a number', 'none', 401],
    ['who is another one than asked for', 'swapped', 401],
    ['whose id is a path', '../Patient/one', 401],
  ])('a patient %s opens nothing', async (_, patient, status) => {
    const browser = new TextBrowser();
    await browser.open(begin(patient).url, page());
    expect([browser.status, new URL(browser.url).pathname]).toEqual([status, '/auth/ehr/callback']);
    expect(browser.cookie(new URL(server.url).host, 'prelim_session')).toBeUndefined();
  });

  it.each(['RS384', 'ES384'] as const)(
    'proves who we are with a key of ours, %s, where it takes no secret: a new assertion each time, from the key set that we publish',
    async (alg) => {
      const peer = signedFor[alg];
      peer.patients.set('one', { resourceType: 'Patient', id: 'one', identifier: [number('1')] });
      const open = async () => {
        const browser = new TextBrowser();
        const begun = begin(null, { ehr: peer.iss, launch: peer.launch('one') });
        return browser.open(begun.url, page()).then((at) => ({ at, status: browser.status }));
      };
      peer.clientKeysAt = `${server.url}/auth/jwks`;
      for (const _ of [1, 2]) expect((await open()).at).toContain('code=');
      expect(peer.assertions.map(({ header }) => header)).toEqual(
        [1, 2].map(() => ({ alg, typ: 'JWT', kid: expect.any(String) })),
      );
      expect(new Set(peer.assertions.map(({ payload }) => payload.jti)).size).toBe(2);
      // An EHR that knows other keys of ours, or wants the secret, opens nothing.
      peer.clientKeysAt = `${provider.jwksUri}`;
      expect((await open()).status).toBe(401);
      peer.clientKeysAt = null;
      expect((await open()).status).toBe(401);
    },
  );

  it('keys of every kind are changed without a pause: the old one signs until the new one is known', async () => {
    const kinds = async () => {
      const { body } = await server.ask('GET', '/auth/jwks');
      return (body.keys as { alg: string }[]).map(({ alg }) => alg).sort();
    };
    const before = await kinds();
    expect(before).toEqual(['ES256', 'ES384', 'RS256', 'RS384']);
    expect((await server.ask('POST', '/auth/keys/rotate', {})).status).toBe(201);
    expect(await kinds()).toEqual([...before, ...before].sort());
    const peer = signedFor.ES384;
    peer.clientKeysAt = `${server.url}/auth/jwks`;
    const begun = begin(null, { ehr: peer.iss, launch: peer.launch('one') });
    expect(await new TextBrowser().open(begun.url, page())).toContain('code=');
    const [first, last] = [peer.assertions[0], peer.assertions.at(-1)];
    expect(last?.header).toEqual(first?.header);
  });

  it('a person without a role that the operator named sees nothing', async () => {
    ehr.claims = { sub: 'dr-2', roles: ['radiologist'] };
    const browser = new TextBrowser();
    await browser.open(begin('one').url, page());
    expect(browser.status).toBe(403);
  });

  it.each<[string, (token: Record<string, unknown>) => Record<string, unknown>]>([
    ['another audience', (token) => ({ ...token, aud: 'other' })],
    ['another issuer', (token) => ({ ...token, iss: 'https://evil.example' })],
    ['another nonce', (token) => ({ ...token, nonce: 'x' })],
    ['an end that is past', (token) => ({ ...token, exp: 1_000 })],
  ])('an ID token with %s signs nobody in', async (_, spoil) => {
    ehr.spoil = spoil;
    const browser = new TextBrowser();
    await browser.open(begin('one').url, page());
    expect(browser.status).toBe(401);
    expect(browser.cookie(new URL(server.url).host, 'prelim_session')).toBeUndefined();
  });

  it('of an EHR that is not listed, by another app, or with a forged state: refused, and nothing is asked there', async () => {
    const before = ehr.asked.length;
    const browser = new TextBrowser();
    const elsewhere = begin('one', { ehr: `${ehr.url}/other` });
    expect(await browser.open(elsewhere.url, page())).toContain('error=invalid_target');
    const app = beginAt(server, 'app', 'openid user/*.rs', { ehr: ehr.iss, launch: ehr.launch('one') });
    expect(await browser.open(app.url, CALLBACK)).toContain('error=invalid_target');
    expect(ehr.asked.length).toBe(before);
    const at = await browser.open(begin('one').url, `${server.url}/auth/ehr/callback`);
    const forged = new URL(at);
    forged.searchParams.set('state', `${forged.searchParams.get('state')}x`);
    await browser.open(forged.href);
    expect(browser.status).toBe(400);
    const other = new TextBrowser();
    await other.open(at);
    expect(other.status).toBe(400);
    expect(await browser.open(at, page())).toContain('code=');
    await browser.open(at);
    expect(browser.status).toBe(400);
  });
});

describe('access tokens of an authorization server in front of us', () => {
  const good = {
    aud: ['account', 'https://prelim.hospital.example/fhir'],
    sub: 'u-2',
    azp: 'ehr-app',
    scope: 'openid email user%2fPatient.rs prelim-read',
    realm_access: { roles: ['radiology-doctors'] },
  };
  const path = '/fhir/Patient?_count=1';

  it('open what their scopes and mapped roles say', async () => {
    for (const header of [{ typ: 'JWT' }, { typ: 'at+jwt' }, {}])
      expect(await readStatus(server, await provider.accessToken(good, header), path)).toBe(200);
    const token = await provider.accessToken(good);
    expect(await readStatus(server, token, path)).toBe(200);
    expect(await readStatus(server, token, '/auth/accounts')).toBe(403);
  });

  it.each([
    ['for another audience', { aud: 'https://elsewhere.example' }, {}],
    ['without an audience', { aud: undefined }, {}],
    ['of another issuer with the same key', { iss: 'https://evil.example' }, {}],
    ['that claims to be ours', { iss: 'prelim-local' }, {}],
    ['that has expired', { exp: Math.floor(Date.now() / 1_000) - 31 }, {}],
    ['without an end', { exp: undefined }, {}],
    ['that is an ID token', { nonce: 'n' }, {}],
    ['that Keycloak calls an ID token', { typ: 'ID' }, {}],
    ['that Keycloak calls a refresh token', { typ: 'Refresh' }, {}],
    ['whose header says that it ends a session', {}, { typ: 'logout+jwt' }],
    ['that ends a session', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, {}],
    ['issued in the future', { iat: Math.floor(Date.now() / 1_000) + 600 }, {}],
    ['of no client', { azp: undefined }, {}],
    ['with an unknown key', {}, { kid: 'unknown' }],
  ])('one %s is refused', async (_title, claims, header) => {
    const token = await provider.accessToken({ ...good, ...claims }, header);
    expect(await readStatus(server, token, path)).toBe(401);
  });

  it('one signed by somebody else, or with the public key as a secret, is refused', async () => {
    provider.otherKey = (await generateKeyPair('RS256')).privateKey;
    expect(await readStatus(server, await provider.accessToken(good), path)).toBe(401);
    const { SignJWT } = await import('jose');
    const nowS = Math.floor(Date.now() / 1_000);
    const hs = await new SignJWT({ ...good, iss: provider.issuer, iat: nowS, exp: nowS + 60 } as never)
      .setProtectedHeader({ alg: 'HS256', kid: provider.kid })
      .sign(new TextEncoder().encode('x'.repeat(64)));
    expect(await readStatus(server, hs, path)).toBe(401);
  });

  it('scopes that mean nothing here grant nothing', async () => {
    const token = await provider.accessToken({ ...good, scope: 'openid profile user/Patient.rsx' });
    expect(await readStatus(server, token, path)).toBe(403);
  });
});

async function introspector() {
  const { readFile } = await import('node:fs/promises');
  const secret = (await readFile(`${server.folder}/keys/local-client-secret`, 'utf8')).trim();
  return { authorization: `Basic ${Buffer.from(`local:${secret}`).toString('base64')}` };
}
