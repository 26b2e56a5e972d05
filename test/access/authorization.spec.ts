import { once } from 'node:events';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import {
  appWithTokens,
  beginAt,
  CALLBACK,
  post,
  putAccount,
  readStatus,
  registerClient,
  signIn,
  token,
  tradeCode,
  walk,
} from './smart-app.ts';
import { TextBrowser } from './text-browser.ts';

let server: PrelimServer;
let patient = '';
let encounter = '';
let practitioner = '';

beforeAll(async () => {
  server = await freshServer({ LOG_LEVEL: 'error' });
  const make = async (body: object) => {
    const answer = await server.ask('POST', `/fhir/${(body as { resourceType: string }).resourceType}`, body);
    expect(answer.status).toBe(201);
    return answer.body.id as string;
  };
  patient = await make({ resourceType: 'Patient', name: [{ family: 'Muster', given: ['Eva'] }] });
  encounter = await make({
    resourceType: 'Encounter',
    status: 'in-progress',
    class: { code: 'IMP' },
    subject: { reference: `Patient/${patient}` },
  });
  practitioner = await make({ resourceType: 'Practitioner', name: [{ family: 'Kern' }] });
  await putAccount(server, 'kern', ['clinician', 'radiologist'], `Practitioner/${practitioner}`);
  const scope = 'openid fhirUser launch launch/patient offline_access online_access patient/*.rs user/*.rs';
  await registerClient(server, 'viewer', { name: 'Viewer', scope, redirectUris: [CALLBACK], public: true });
  await registerClient(server, 'trusted', {
    scope,
    redirectUris: [CALLBACK],
    public: true,
    preapproved: true,
  });
  await registerClient(server, 'ehr', {
    scope: 'system/Patient.r system/Encounter.r',
    roles: ['integrator'],
  });
});

afterAll(() => server.close());

describe('what the server says of itself', () => {
  it('is the same at the FHIR base, at the root and in the CapabilityStatement, without a token', async () => {
    const below = await fetch(`${server.url}/fhir/.well-known/smart-configuration`, {
      headers: { accept: 'text/html', origin: 'https://app.example' },
    });
    expect([below.status, below.headers.get('content-type')]).toEqual([
      200,
      'application/json; charset=utf-8',
    ]);
    expect(below.headers.get('access-control-allow-origin')).toBe('*');
    const said = (await below.json()) as Record<string, string>;
    expect(await (await fetch(`${server.url}/.well-known/smart-configuration`)).json()).toEqual(said);
    expect(said).toMatchObject({
      issuer: server.url,
      authorization_endpoint: `${server.url}/auth/authorize`,
      token_endpoint: `${server.url}/auth/token`,
      jwks_uri: `${server.url}/auth/jwks`,
      code_challenge_methods_supported: ['S256'],
    });
    const { body } = await server.ask('GET', '/fhir/metadata', undefined, { authorization: '' });
    const [uris] = body.rest[0].security.extension;
    expect(
      Object.fromEntries(
        uris.extension.map((one: { url: string; valueUri: string }) => [one.url, one.valueUri]),
      ),
    ).toEqual({
      authorize: said['authorization_endpoint'],
      token: said['token_endpoint'],
      introspect: said['introspection_endpoint'],
      revoke: said['revocation_endpoint'],
    });
  });

  it('answers an OpenID client at the issuer', async () => {
    const response = await fetch(`${server.url}/.well-known/openid-configuration`);
    expect(await response.json()).toMatchObject({
      issuer: server.url,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      authorization_response_iss_parameter_supported: true,
    });
  });
});

describe('a person signs in to an app', () => {
  it('chooses a patient, reads what the app asks for, allows it, and the app gets its tokens', async () => {
    const begun = beginAt(server, 'viewer', 'openid fhirUser launch/patient patient/*.rs', { nonce: 'n-1' });
    const browser = new TextBrowser();
    await browser.open(begun.url, CALLBACK);
    expect(browser.headers.get('content-security-policy')).toContain("default-src 'none'");
    await signIn(browser, 'kern');
    await browser.send('continue', { name: 'Muster' });
    expect(browser.text).toContain('Muster, Eva');
    await browser.send('patient', { patient });
    expect(browser.text).toContain('read, search all kinds of records of this patient');
    const at = new URL(await browser.send('approve', { decision: 'allow' }, CALLBACK));
    expect(at.searchParams.get('state')).toBe(begun.state);
    expect(at.searchParams.get('iss')).toBe(server.url);
    const answer = await tradeCode(server, begun, at.searchParams.get('code') ?? '');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('pragma')).toBe('no-cache');
    expect(answer.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'openid fhirUser launch/patient patient/*.rs',
      patient,
      need_patient_banner: true,
    });
    expect(answer.body.refresh_token).toBeUndefined();
    await expectIdToken(answer.body.id_token, 'viewer', 'n-1');
    expect(await readStatus(server, answer.body.access_token, `/fhir/Patient/${patient}`)).toBe(200);
    expect(await readStatus(server, answer.body.access_token, `/fhir/Practitioner/${practitioner}`)).not.toBe(
      401,
    );
  });

  it('refuses, and the app hears of it', async () => {
    const begun = beginAt(server, 'viewer', 'openid user/Patient.rs');
    const browser = new TextBrowser();
    await browser.open(begun.url);
    await signIn(browser, 'kern');
    const at = new URL(await browser.send('approve', { decision: 'refuse' }, CALLBACK));
    expect(at.searchParams.get('error')).toBe('access_denied');
    expect(at.searchParams.get('code')).toBeNull();
  });

  it('is not asked again while signed in, nor for an app that an administrator approved', async () => {
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'trusted', 'openid user/Patient.rs').url);
    expect(await signIn(browser, 'kern')).toContain('code=');
    expect(await browser.open(beginAt(server, 'trusted', 'openid').url, CALLBACK)).toContain('code=');
    const silent = beginAt(server, 'viewer', 'openid', { prompt: 'none' });
    expect(await browser.open(silent.url, CALLBACK)).toContain('error=interaction_required');
    await browser.open(beginAt(server, 'trusted', 'openid', { prompt: 'login' }).url, CALLBACK);
    expect(browser.text).toContain('action="sign-in"');
    const nobody = new TextBrowser();
    expect(await nobody.open(silent.url, CALLBACK)).toContain('error=login_required');
  });

  it('gives an app only what both it and its registration name', async () => {
    const { answer } = await appWithTokens(
      server,
      'trusted',
      'user/*.cruds system/*.cruds openid introspect',
      'kern',
    );
    expect(answer.scope).toBe('openid user/*.rs');
  });
});

describe('an EHR launch', () => {
  it('carries patient and encounter into the token, for the app and person it is for, once', async () => {
    const launch = await announce({
      patient,
      encounter,
      client_id: 'trusted',
      fhirUser: `Practitioner/${practitioner}`,
    });
    const { answer } = await appWithTokens(server, 'trusted', 'launch patient/*.rs openid fhirUser', 'kern', {
      launch,
    });
    expect(answer).toMatchObject({ patient, encounter });
    const again = beginAt(server, 'trusted', 'launch patient/*.rs', { launch });
    expect(await new TextBrowser().open(again.url, CALLBACK)).toContain('error=invalid_request');
  });

  it('is refused to another app and to another person', async () => {
    const other = await announce({ patient, client_id: 'viewer' });
    const wrongApp = beginAt(server, 'trusted', 'launch patient/*.rs', { launch: other });
    expect(await new TextBrowser().open(wrongApp.url, CALLBACK)).toContain('error=invalid_request');
    const somebody = await announce({ patient, fhirUser: 'Practitioner/somebody-else' });
    const parameters = await walk(
      beginAt(server, 'trusted', 'launch patient/*.rs', { launch: somebody }),
      'kern',
    );
    expect(parameters.get('error')).toBe('access_denied');
  });

  it('is announced by an integrator only, for a patient that is there', async () => {
    const body = JSON.stringify({ patient });
    const json = { 'content-type': 'application/json' };
    const weak = await server.issue('system/Patient.rs');
    expect(
      (await server.ask('POST', '/auth/launch', body, { ...json, authorization: `Bearer ${weak}` })).status,
    ).toBe(403);
    expect((await server.ask('POST', '/auth/launch', '{"patient":"nobody"}', json)).status).toBe(400);
  });
});

describe('refresh, revocation and introspection', () => {
  it('rotates a refresh token, narrows scopes, and ends everything when an old one comes back', async () => {
    const { answer } = await appWithTokens(
      server,
      'trusted',
      'online_access user/Patient.rs user/Task.rs',
      'kern',
    );
    const refresh = (refresh_token: string, more = {}) =>
      token(server, { grant_type: 'refresh_token', refresh_token, client_id: 'trusted', ...more });
    const second = await refresh(answer.refresh_token, { scope: 'user/Patient.r online_access' });
    expect(second.body).toMatchObject({ scope: 'online_access user/Patient.r' });
    const third = await refresh(second.body.refresh_token);
    expect(third.body.scope).toBe('online_access user/Patient.rs user/Task.rs');
    expect(await readStatus(server, third.body.access_token)).toBe(200);
    expect((await refresh(second.body.refresh_token)).body).toMatchObject({ error: 'invalid_grant' });
    expect(await readStatus(server, third.body.access_token)).toBe(401);
    expect((await refresh(third.body.refresh_token)).status).toBe(400);
  });

  it('ends tokens at once when the app revokes them', async () => {
    const { answer } = await appWithTokens(server, 'trusted', 'offline_access user/Patient.rs', 'kern');
    expect(await readStatus(server, answer.access_token)).toBe(200);
    const stranger = await post(server, '/auth/revoke', { token: answer.refresh_token, client_id: 'viewer' });
    expect([stranger.status, await readStatus(server, answer.access_token)]).toEqual([200, 200]);
    await post(server, '/auth/revoke', { token: answer.refresh_token, client_id: 'trusted' });
    expect(await readStatus(server, answer.access_token)).toBe(401);
  });

  it('tells a resource server what a token is, and others nothing', async () => {
    const { answer } = await appWithTokens(server, 'trusted', 'openid fhirUser user/Patient.rs', 'kern');
    const secret = await secretOf('ehr');
    const basic = { authorization: `Basic ${Buffer.from(`ehr:${secret}`).toString('base64')}` };
    const ask = (asked: string, headers = basic) =>
      post(server, '/auth/introspect', { token: asked }, headers);
    expect((await ask(answer.access_token)).body).toEqual({ active: false });
    expect((await ask('nonsense')).body).toEqual({ active: false });
    const own = await token(server, { grant_type: 'client_credentials' }, basic);
    expect((await ask(own.body.access_token)).body).toMatchObject({
      active: true,
      client_id: 'ehr',
      scope: own.body.scope,
    });
    const local = await localBasic();
    expect((await ask(answer.access_token, local)).body).toMatchObject({
      active: true,
      client_id: 'trusted',
      scope: 'openid fhirUser user/Patient.rs',
      iss: server.url,
      sub: 'local:kern',
      fhirUser: `${server.url}/fhir/Practitioner/${practitioner}`,
    });
    const refused = await post(server, '/auth/introspect', {
      token: answer.access_token,
      client_id: 'trusted',
    });
    expect([refused.status, refused.body.error]).toEqual([401, 'invalid_client']);
  });

  it('ends what a person approved when the account is closed', async () => {
    await putAccount(server, 'leaver', ['clinician']);
    const { answer } = await appWithTokens(server, 'trusted', 'offline_access user/Patient.rs', 'leaver');
    expect(await readStatus(server, answer.access_token)).toBe(200);
    expect((await server.ask('DELETE', '/auth/accounts/leaver')).status).toBe(204);
    expect(await readStatus(server, answer.access_token)).toBe(401);
  });
});

describe('sign-out', () => {
  it('ends all that was given for as long as the person is signed in: refresh, broken glass, an open WebSocket; and nothing of others', async () => {
    await putAccount(server, 'both', ['clinician', 'operator']);
    const browser = new TextBrowser();
    const get = async (scope: string) => {
      const begun = beginAt(server, 'trusted', scope);
      let at = await browser.open(begun.url, CALLBACK);
      if (browser.text.includes('action="sign-in"') && !at.startsWith(CALLBACK))
        at = await signIn(browser, 'both');
      return (await tradeCode(server, begun, new URL(at).searchParams.get('code') ?? '')).body;
    };
    const app = await get('online_access user/*.rs');
    const lasting = await get('offline_access user/Patient.rs');
    const elsewhere = await appWithTokens(server, 'trusted', 'online_access user/Patient.rs', 'both');
    const own = { authorization: `Bearer ${app.access_token}` };
    const reason = { name: 'reason', valueString: 'unconscious, needs history' };
    const glass = { resourceType: 'Parameters', parameter: [reason] };
    const opened = await server.ask('POST', `/fhir/Patient/${patient}/$break-glass`, glass, own);
    const broken = opened.body.parameter[0].valueString;
    const socket = await boundSocket(own);
    const statuses = () =>
      Promise.all(
        [app.access_token, broken, lasting.access_token, elsewhere.answer.access_token].map((one) =>
          readStatus(server, one, `/fhir/Patient/${patient}`),
        ),
      );
    expect(await statuses()).toEqual([200, 200, 200, 200]);
    const cookie = `prelim_session=${browser.cookie(new URL(server.url).host, 'prelim_session')}`;
    const signedOut = await fetch(`${server.url}/auth/sign-out`, {
      method: 'POST',
      headers: { cookie, origin: server.url, 'x-prelim-csrf': '1' },
    });
    expect(signedOut.status).toBe(204);
    expect(await statuses()).toEqual([401, 401, 200, 200]);
    const refresh = { grant_type: 'refresh_token', refresh_token: app.refresh_token, client_id: 'trusted' };
    expect((await token(server, refresh)).body).toMatchObject({ error: 'invalid_grant' });
    await writeReport();
    await socket.closed;
    expect(socket.heard).toEqual([`bound ${socket.id}`]);
    // A binding token that was taken before binds nothing now.
    const late = await connected(socket.token);
    await once(late.socket, 'message');
    expect(late.heard[0]).toContain('error not bound');
    late.socket.terminate();
  });

  it('of a token without an approval is its revocation: what it broke glass for ends with it', async () => {
    const person = { clientId: 'trusted', subject: 'local:kern', roles: ['clinician'] as const };
    const access = await server.issueFor({ ...person, scope: 'user/*.rs' });
    const reason = { name: 'reason', valueString: 'unconscious, needs history' };
    const opened = await server.ask(
      'POST',
      `/fhir/Patient/${patient}/$break-glass`,
      { resourceType: 'Parameters', parameter: [reason] },
      { authorization: `Bearer ${access}` },
    );
    const broken = opened.body.parameter[0].valueString;
    expect(await readStatus(server, broken, `/fhir/Patient/${patient}`)).toBe(200);
    await post(server, '/auth/revoke', { token: access, client_id: 'trusted' });
    expect(await readStatus(server, broken, `/fhir/Patient/${patient}`)).toBe(401);
  });

  const writeReport = () =>
    server.ask('POST', '/fhir/DiagnosticReport', {
      resourceType: 'DiagnosticReport',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: `Patient/${patient}` },
    });

  /** A socket that listens to reports with this token. */
  async function boundSocket(headers: Record<string, string>) {
    const made = await server.ask('POST', '/fhir/Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'test',
      criteria: 'DiagnosticReport?status=final',
      channel: { type: 'websocket' },
    });
    const id: string = made.body.id;
    const active = async () => (await server.ask('GET', `/fhir/Subscription/${id}`)).body.status === 'active';
    await expect.poll(active).toBe(true);
    const asked = await server.ask(
      'GET',
      `/fhir/Subscription/${id}/$get-ws-binding-token`,
      undefined,
      headers,
    );
    const token: string = asked.body.parameter[0].valueString;
    const { socket, heard } = await connected(token);
    await once(socket, 'message');
    return { id, token, heard, closed: once(socket, 'close') };
  }

  async function connected(token: string) {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/fhir/ws`);
    const heard: string[] = [];
    socket.on('message', (data) => heard.push(String(data)));
    await once(socket, 'open');
    socket.send(`bind-with-token ${token}`);
    return { socket, heard };
  }
});

describe('local accounts', () => {
  it('lock after five wrong passwords, also when they come at once, and the right one is refused then', async () => {
    await putAccount(server, 'guessed', ['clinician']);
    const attempt = async (password: string) => {
      const browser = new TextBrowser();
      await browser.open(beginAt(server, 'trusted', 'openid').url);
      await signIn(browser, 'guessed', password);
      return browser.url.startsWith(CALLBACK) ? 'in' : browser.status;
    };
    expect(await Promise.all(Array.from({ length: 6 }, () => attempt('wrong')))).toEqual(Array(6).fill(401));
    expect(await attempt('correct horse battery staple')).toBe(401);
    const { body } = await server.ask('GET', '/auth/accounts');
    expect(body.accounts.find((one: { name: string }) => one.name === 'guessed')).toMatchObject({
      locked: true,
    });
    expect(JSON.stringify(body)).not.toContain('scrypt');
  }, 60_000);

  it('end with their sessions, codes and tokens when the password is changed', async () => {
    await putAccount(server, 'changer', ['clinician']);
    const browser = new TextBrowser();
    await browser.open(beginAt(server, 'trusted', 'openid').url);
    expect(await signIn(browser, 'changer')).toContain('code=');
    const { answer } = await appWithTokens(server, 'trusted', 'user/Patient.rs', 'changer');
    await putAccount(server, 'changer', ['clinician']);
    expect(await readStatus(server, answer.access_token)).toBe(401);
    await browser.open(beginAt(server, 'trusted', 'openid').url, CALLBACK);
    expect(browser.text).toContain('action="sign-in"');
  });

  it('want a long password and a known role, and an administrator', async () => {
    const put = (body: object, headers = {}) =>
      server.ask('PUT', '/auth/accounts/x', JSON.stringify(body), {
        'content-type': 'application/json',
        ...headers,
      });
    expect((await put({ password: 'short', roles: [] })).status).toBe(400);
    expect((await put({ password: 'correct horse battery staple', roles: ['god'] })).status).toBe(400);
    const weak = await server.issue('system/*.rs');
    expect(
      (
        await put(
          { password: 'correct horse battery staple', roles: [] },
          { authorization: `Bearer ${weak}` },
        )
      ).status,
    ).toBe(403);
  });
});

describe('clients as resources', () => {
  it('are written by an administrator only, in a batch too', async () => {
    const weak = { authorization: `Bearer ${await server.issue('system/Basic.cruds')}` };
    const { clientResource } = await import('./smart-app.ts');
    const mine = clientResource('mine', { scope: 'system/*.cruds' });
    expect((await server.ask('POST', '/fhir/Basic', mine, weak)).status).toBe(403);
    const entry = [{ resource: mine, request: { method: 'POST', url: 'Basic' } }];
    const bundle = await server.ask('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry }, weak);
    expect(bundle.body.entry[0].response.status).toMatch(/^403/);
    const id = await registerClient(server, 'changed', { scope: 'system/Patient.r' });
    expect((await server.ask('PUT', `/fhir/Basic/${id}`, { ...mine, id }, weak)).status).toBe(403);
    expect((await server.ask('DELETE', `/fhir/Basic/${id}`, undefined, weak)).status).toBe(403);
  });

  it('have secrets that no resource shows; a new one works beside the last, an inactive client not at all', async () => {
    const id = await registerClient(server, 'secretive', { scope: 'system/Patient.r' });
    const first = await secretOf('secretive');
    const second = await secretOf('secretive');
    const ask = (client_secret: string) =>
      token(server, { grant_type: 'client_credentials', client_id: 'secretive', client_secret });
    expect([(await ask(first)).status, (await ask(second)).status]).toEqual([200, 200]);
    await secretOf('secretive');
    expect((await ask(first)).body).toMatchObject({ error: 'invalid_client' });
    const { text, body } = await server.ask('GET', `/fhir/Basic/${id}`);
    expect(text).not.toContain(second);
    const parts = body.extension[0].extension;
    parts.push({ url: 'active', valueBoolean: false });
    expect((await server.ask('PUT', `/fhir/Basic/${id}`, body)).status).toBe(200);
    expect((await ask(second)).status).toBe(401);
    expect((await server.ask('DELETE', `/fhir/Basic/${id}`)).status).toBeLessThan(300);
    expect((await ask(second)).status).toBe(401);
  });

  it.each([
    ['an id that is taken', 'local', { scope: 'system/*.r' }],
    ['a scope that is none', 'x1', { scope: 'system/Patient.read-only' }],
    ['a redirect with a fragment', 'x2', { scope: 'openid', redirectUris: ['https://a.example/#x'] }],
    ['a redirect that is a script', 'x3', { scope: 'openid', redirectUris: ['javascript:alert(1)'] }],
    [
      'a redirect to another machine without TLS',
      'x4',
      { scope: 'openid', redirectUris: ['http://a.example/'] },
    ],
    ['a private key', 'x5', { scope: 'system/*.r', jwks: { keys: [{ kty: 'EC', kid: '1', d: 'x' }] } }],
    [
      'a key set on a host that is not listed',
      'x6',
      { scope: 'system/*.r', jwksUri: 'https://a.example/jwks' },
    ],
  ])('with %s are refused', async (_title, id, entry) => {
    const { clientResource } = await import('./smart-app.ts');
    const answer = await server.ask('POST', '/fhir/Basic', clientResource(id, entry));
    expect(answer.status).toBe(400);
  });
});

describe('our signing keys', () => {
  it('rotate without ending a token: the new key is announced first, and both are published', async () => {
    const before = (await (await fetch(`${server.url}/auth/jwks`)).json()) as { keys: { kid: string }[] };
    const { answer } = await appWithTokens(server, 'trusted', 'openid user/Patient.rs', 'kern');
    const rotated = await server.ask('POST', '/auth/keys/rotate', '{}', {
      'content-type': 'application/json',
    });
    expect(rotated.status).toBe(201);
    const after = (await (await fetch(`${server.url}/auth/jwks`)).json()) as { keys: object[] };
    expect(after.keys).toHaveLength(before.keys.length + 2);
    expect(JSON.stringify(after)).not.toContain('"d"');
    expect(await readStatus(server, answer.access_token)).toBe(200);
    const next = await appWithTokens(server, 'trusted', 'openid', 'kern');
    expect(rotated.body.kids).not.toContain(decodeProtectedHeader(next.answer.access_token).kid);
  });

  it('that became known are gone at once, with every token they signed', async () => {
    const { answer } = await appWithTokens(server, 'trusted', 'user/Patient.rs', 'kern');
    const token = server.token;
    await server.ask('POST', '/auth/keys/rotate', '{"compromised":true}', {
      'content-type': 'application/json',
    });
    expect(await readStatus(server, answer.access_token)).toBe(401);
    expect(await readStatus(server, token)).toBe(401);
    server.token = await server.issue('system/*.cruds');
    expect(await readStatus(server, server.token)).toBe(200);
  });
});

async function announce(context: object): Promise<string> {
  const answer = await server.ask('POST', '/auth/launch', JSON.stringify(context), {
    'content-type': 'application/json',
  });
  expect(answer.status).toBe(201);
  expect(answer.body.iss).toBe(`${server.url}/fhir`);
  return answer.body.launch;
}

async function secretOf(id: string): Promise<string> {
  const answer = await server.ask('POST', `/auth/clients/${id}/secret`);
  expect(answer.status).toBe(201);
  return answer.body.client_secret;
}

async function localBasic() {
  const { readFile } = await import('node:fs/promises');
  const secret = (await readFile(`${server.folder}/keys/local-client-secret`, 'utf8')).trim();
  return { authorization: `Basic ${Buffer.from(`local:${secret}`).toString('base64')}` };
}

async function expectIdToken(idToken: string, audience: string, nonce: string): Promise<void> {
  const keys = createRemoteJWKSet(new URL(`${server.url}/auth/jwks`));
  const { payload } = await jwtVerify(idToken, keys, { algorithms: ['RS256'], issuer: server.url, audience });
  expect(payload).toMatchObject({
    sub: 'local:kern',
    nonce,
    fhirUser: `${server.url}/fhir/Practitioner/${practitioner}`,
  });
}
