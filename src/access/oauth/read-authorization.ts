import type { Client } from '../client.ts';
import { narrow, type Scope } from '../scope.ts';
import type { Form } from './authenticate-client.ts';
import { listText, readWanted } from './give-tokens.ts';
import { OAuthError } from './oauth-error.ts';
import type { AuthorizationRequest } from './request.store.ts';

/** RFC 7636 4.2: the SHA-256 of a verifier in base64url. */
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;
export const STATE_CHARS_MAX = 1_024;

/**
 * Where the answer to an authorization request may go: compared as whole strings (RFC 9700 4.1.3), before anything else is looked at. A request
 * that fails here is answered with a page and never with a redirect.
 *
 * @throws OAuthError
 */
export function readTarget(form: Form, client: Client | undefined): { client: Client; redirectUri: string } {
  if (!client) throw new OAuthError('invalid_client', 'This app is not registered here.', 400);
  const redirectUri = form['redirect_uri'];
  if (redirectUri === undefined || !client.redirectUris.includes(redirectUri))
    throw new OAuthError(
      'invalid_request',
      'The app asks for an answer at an address that is not registered for it.',
    );
  return { client, redirectUri };
}

/**
 * The rest of the request (RFC 6749 4.1.1, RFC 7636, SMART App Launch 2.2 "Obtain authorization code").
 *
 * @param base our FHIR base URL, which `aud` must name
 * @throws OAuthError, for the app
 */
export function readAuthorization(
  form: Form,
  client: Client,
  redirectUri: string,
  base: string,
): Omit<AuthorizationRequest, 'launch'> {
  if (form['response_type'] !== 'code')
    throw new OAuthError('unsupported_response_type', 'response_type must be code');
  if (form['code_challenge_method'] !== 'S256' || !CHALLENGE.test(form['code_challenge'] ?? ''))
    throw new OAuthError('invalid_request', 'PKCE with code_challenge_method S256 is needed');
  const { state } = form;
  if (state === undefined || state.length > STATE_CHARS_MAX)
    throw new OAuthError('invalid_request', `state is needed, of at most ${STATE_CHARS_MAX} characters`);
  if (form['aud']?.replace(/\/$/, '') !== base)
    throw new OAuthError('invalid_request', 'aud must be the FHIR base URL of this server');
  refuseUnserved(form);
  const { prompt, maxAgeS } = readSignInWishes(form);
  return {
    clientId: client.id,
    redirectUri,
    state,
    challenge: form['code_challenge'] as string,
    ...(form['nonce'] === undefined ? {} : { nonce: form['nonce'] }),
    scope: readScope(form['scope'], client),
    ...(prompt === undefined ? {} : { prompt }),
    ...(maxAgeS === undefined ? {} : { maxAgeS }),
  };
}

/** OpenID Connect Core 3.1.2.6: what we do not serve is refused by name. To ignore it would be to answer another request than was made. */
function refuseUnserved(form: Form): void {
  for (const name of ['request', 'request_uri'] as const)
    if (form[name] !== undefined)
      throw new OAuthError(`${name}_not_supported`, 'the request must be made with plain parameters');
  if (form['response_mode'] !== undefined && form['response_mode'] !== 'query')
    throw new OAuthError('invalid_request', 'response_mode must be query');
}

/** OpenID Connect Core 3.1.2.1: `prompt`, of whose words we know `none` and `login`, and `max_age` in seconds. */
function readSignInWishes(form: Form): { prompt?: 'none' | 'login'; maxAgeS?: number } {
  const words = (form['prompt'] ?? '').split(' ').filter((word) => word !== '');
  if (words.includes('none') && words.length > 1)
    throw new OAuthError('invalid_request', 'prompt none stands alone');
  const prompt = words.find((word) => word === 'none' || word === 'login');
  const text = form['max_age'];
  if (text !== undefined && !/^\d{1,9}$/.test(text))
    throw new OAuthError('invalid_request', 'max_age must be a number of seconds');
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(text === undefined ? {} : { maxAgeS: Number(text) }),
  };
}

function readScope(text: string | undefined, client: Client): string {
  const wanted = readWanted(text ?? '');
  const words = wanted.words.filter((word) => client.words.includes(word));
  // Nobody can lend an app the rights of a system: those are a client's own.
  const scopes = narrow(wanted.resources, client.scopes).filter(({ context }) => context !== 'system');
  if (words.length === 0 && scopes.length === 0)
    throw new OAuthError('invalid_scope', 'none of the scopes may be given to this app');
  return listText(words, scopes);
}

/** Does it ask for one patient? */
export const wantsPatient = (words: readonly string[], scopes: readonly Scope[]): boolean =>
  words.includes('launch/patient') || scopes.some(({ context }) => context === 'patient');
