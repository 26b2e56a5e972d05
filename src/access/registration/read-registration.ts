import type { JWK } from 'jose';
import { CLIENT_ALGORITHMS, type Client, type ClientAlgorithm } from '../client.ts';
import { rolesAmong } from '../grant.ts';
import { readScopeList } from '../oauth/scope-words.ts';

/** RFC 7517 key sets have no bound; a client has two keys, while one follows the other. */
export const CLIENT_KEYS_MAX = 20;
export const REDIRECT_URIS_MAX = 20;
const ID = /^[A-Za-z0-9._~:/-]{1,128}$/;

/**
 * A client's registration as plain members, from AUTH_CLIENTS or out of its Basic resource: `id`, `name`, `scope`, `redirectUris`, `jwks`
 * (`{keys}`) or `jwksUri`, `alg`, `roles`, `public`, `preapproved`. It has no secret in it.
 *
 * @throws Error whose message says what would be right; Failure `auth.scope`
 */
export function readRegistration(entry: Readonly<Record<string, unknown>>): Client {
  const { id, scope, jwksUri, alg } = entry;
  if (typeof id !== 'string' || !ID.test(id))
    throw new Error('the client id must be 1 to 128 letters, digits or . _ ~ : / -');
  if (typeof scope !== 'string') throw new Error('the scopes it may ask for are missing');
  const { words, resources } = readScopeList(scope);
  const isPublic = entry['public'] === true;
  const jwks = entry['jwks'] === undefined ? undefined : readKeys(entry['jwks']);
  if (isPublic && (jwks || jwksUri)) throw new Error('a public client has no keys');
  if (jwks && jwksUri) throw new Error('give jwks or jwksUri, not both');
  if (jwksUri !== undefined && (typeof jwksUri !== 'string' || !URL.canParse(jwksUri)))
    throw new Error('jwksUri must be a URL');
  if (alg !== undefined && !CLIENT_ALGORITHMS.includes(alg as ClientAlgorithm))
    throw new Error(`alg must be one of ${CLIENT_ALGORITHMS.join(', ')}`);
  return {
    id,
    name: typeof entry['name'] === 'string' ? entry['name'] : id,
    secrets: [],
    ...(jwks ? { jwks } : {}),
    ...(jwksUri === undefined ? {} : { jwksUri }),
    ...(alg === undefined ? {} : { algorithm: alg as ClientAlgorithm }),
    isPublic,
    scopes: resources,
    words,
    redirectUris: readRedirectUris(entry['redirectUris']),
    roles: rolesAmong(entry['roles']),
    isPreapproved: entry['preapproved'] === true,
  };
}

function readRedirectUris(value: unknown): string[] {
  const list = value === undefined ? [] : value;
  if (!Array.isArray(list) || list.length > REDIRECT_URIS_MAX)
    throw new Error(`redirectUris must be a list of at most ${REDIRECT_URIS_MAX}`);
  return list.map((uri: unknown) => {
    if (typeof uri !== 'string' || !isRedirectUri(uri))
      throw new Error(
        'a redirect URI must be absolute, https (http for this machine only), without a fragment',
      );
    return uri;
  });
}

/** RFC 6749 3.1.2, RFC 8252 7: https, a scheme of the app's own, or this machine. Nothing that a browser would run. */
function isRedirectUri(text: string): boolean {
  if (!URL.canParse(text) || text.includes('#') || text.length > 2_000) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  if (protocol === 'https:') return true;
  if (protocol === 'http:') return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  // RFC 8252 7.1: a private scheme is a reversed domain name, so it has a dot; javascript:, data: and the like have none.
  return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(protocol);
}

/** Members by which a key could bring a secret, or point somewhere. */
const FORBIDDEN_IN_KEY = ['d', 'p', 'q', 'k', 'jku', 'x5u'];

/** @throws Error for what is no set of public RSA or EC keys */
function readKeys(value: unknown): JWK[] {
  const keys = (value as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > CLIENT_KEYS_MAX)
    throw new Error(`a key set must be {"keys": […]} with 1 to ${CLIENT_KEYS_MAX} keys`);
  return keys.map((key: unknown) => {
    const jwk = key as JWK;
    if (typeof jwk !== 'object' || jwk === null || !['RSA', 'EC'].includes(String(jwk.kty)))
      throw new Error('a key must be an RSA or EC key');
    if (typeof jwk.kid !== 'string' || jwk.kid === '') throw new Error('each key needs a kid');
    if (FORBIDDEN_IN_KEY.some((name) => name in jwk)) throw new Error('a key set holds public keys only');
    return jwk;
  });
}
