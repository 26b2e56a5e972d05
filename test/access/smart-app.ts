import { createHash, randomBytes } from 'node:crypto';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { TextBrowser } from './text-browser.ts';

export const CALLBACK = 'https://app.example/callback';
export const PASSWORD = 'correct horse battery staple';

export interface Registered {
  readonly name?: string;
  readonly scope: string;
  readonly redirectUris?: readonly string[];
  readonly jwks?: unknown;
  readonly jwksUri?: string;
  readonly alg?: string;
  readonly roles?: readonly string[];
  readonly public?: boolean;
  readonly preapproved?: boolean;
  readonly active?: boolean;
}

/** The Basic resource that registers a client (docs/access.md). */
export function clientResource(id: string, entry: Registered) {
  const part = (url: string, value: object) => ({ url, ...value });
  return {
    resourceType: 'Basic',
    code: {
      coding: [{ system: 'https://prelim.example/fhir/CodeSystem/resource-kind', code: 'oauth-client' }],
    },
    identifier: [{ system: 'https://prelim.example/fhir/NamingSystem/oauth-client-id', value: id }],
    extension: [
      {
        url: 'https://prelim.example/fhir/StructureDefinition/oauth-client',
        extension: [
          part('scope', { valueString: entry.scope }),
          ...(entry.name ? [part('name', { valueString: entry.name })] : []),
          ...(entry.redirectUris ?? []).map((uri) => part('redirect-uri', { valueUrl: uri })),
          ...(entry.jwks ? [part('jwks', { valueString: JSON.stringify(entry.jwks) })] : []),
          ...(entry.jwksUri ? [part('jwks-uri', { valueUrl: entry.jwksUri })] : []),
          ...(entry.alg ? [part('algorithm', { valueCode: entry.alg })] : []),
          ...(entry.roles ?? []).map((role) => part('role', { valueCode: role })),
          ...(entry.public === undefined ? [] : [part('public', { valueBoolean: entry.public })]),
          ...(entry.preapproved === undefined
            ? []
            : [part('preapproved', { valueBoolean: entry.preapproved })]),
          ...(entry.active === undefined ? [] : [part('active', { valueBoolean: entry.active })]),
        ],
      },
    ],
  };
}

/** Registers it; gives the id of its resource. */
export async function registerClient(server: PrelimServer, id: string, entry: Registered): Promise<string> {
  const answer = await server.ask('POST', '/fhir/Basic', clientResource(id, entry));
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
}

export async function putAccount(
  server: PrelimServer,
  name: string,
  roles: readonly string[],
  fhirUser?: string,
): Promise<void> {
  const body = JSON.stringify({ password: PASSWORD, roles, ...(fhirUser ? { fhirUser } : {}) });
  const answer = await server.ask('PUT', `/auth/accounts/${name}`, body, {
    'content-type': 'application/json',
  });
  if (answer.status !== 204) throw new Error(answer.text);
}

/** What an app sends to begin, and keeps to end. */
export interface Begun {
  readonly url: string;
  readonly verifier: string;
  readonly state: string;
  readonly redirectUri: string;
  readonly clientId: string;
}

export function beginAt(
  server: PrelimServer,
  clientId: string,
  scope: string,
  more: Record<string, string | null> = {},
): Begun {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const redirectUri = more['redirect_uri'] ?? CALLBACK;
  const parameters: Record<string, string | null> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    aud: `${server.url}/fhir`,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null) query.set(name, value);
  return { url: `${server.url}/auth/authorize?${query}`, verifier, state, redirectUri, clientId };
}

/** Signs in with a local account on the page the browser is shown. */
export const signIn = (browser: TextBrowser, name: string, password = PASSWORD, stopAt = CALLBACK) =>
  browser.send('sign-in', { name, password }, stopAt);

/** The whole way of a person through a request, approving it. Gives the parameters that reach the app. */
export async function walk(begun: Begun, name: string, patient?: string): Promise<URLSearchParams> {
  const browser = new TextBrowser();
  let at = await browser.open(begun.url, begun.redirectUri);
  if (browser.text.includes('action="sign-in"'))
    at = await signIn(browser, name, PASSWORD, begun.redirectUri);
  if (browser.text.includes('Choose a patient') && !at.startsWith(begun.redirectUri)) {
    await browser.send('continue', { name: 'Muster' });
    at = await browser.send('patient', { patient: patient ?? '' }, begun.redirectUri);
  }
  if (!at.startsWith(begun.redirectUri))
    at = await browser.send('approve', { decision: 'allow' }, begun.redirectUri);
  return new URL(at).searchParams;
}

/** One request of the token endpoint. */
export async function token(
  server: PrelimServer,
  form: Record<string, string>,
  headers: Record<string, string> = {},
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it expects, and fails when it is another
): Promise<{ status: number; headers: Headers; body: any }> {
  return post(server, '/auth/token', form, headers);
}

export async function post(
  server: PrelimServer,
  path: string,
  form: Record<string, string> | string,
  headers: Record<string, string> = {},
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it expects, and fails when it is another
): Promise<{ status: number; headers: Headers; body: any }> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

export const tradeCode = (
  server: PrelimServer,
  begun: Begun,
  code: string,
  more: Record<string, string> = {},
) =>
  token(server, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: begun.redirectUri,
    code_verifier: begun.verifier,
    client_id: begun.clientId,
    ...more,
  });

/** The same from begin to end: an approved app with its tokens. */
export async function appWithTokens(
  server: PrelimServer,
  clientId: string,
  scope: string,
  name: string,
  more: Record<string, string | null> = {},
) {
  const begun = beginAt(server, clientId, scope, more);
  const parameters = await walk(begun, name);
  const answer = await tradeCode(server, begun, parameters.get('code') ?? '');
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return { begun, code: parameters.get('code') ?? '', answer: answer.body };
}

/** Does the token open FHIR? Gives the status of a read. */
export async function readStatus(server: PrelimServer, accessToken: string, path = '/fhir/Patient?_count=1') {
  const response = await fetch(`${server.url}${path}`, {
    headers: { authorization: `Bearer ${accessToken}` },
  });
  await response.body?.cancel();
  return response.status;
}
