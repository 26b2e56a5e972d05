import { generateKeyPair } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshServer } from '../fresh-server.ts';
import { OpenIdProviderPeer } from '../peers/openid-provider.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { beginAt, CALLBACK, post, readStatus, registerClient, tradeCode } from './smart-app.ts';
import { TextBrowser } from './text-browser.ts';

/** People of a hospital that has an OpenID provider, and tokens of an authorization server that stands in front of us. */
let provider: OpenIdProviderPeer;
let server: PrelimServer;

beforeAll(async () => {
  provider = await OpenIdProviderPeer.start();
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
