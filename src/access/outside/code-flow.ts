import { createHash } from 'node:crypto';
import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { ASSERTION_TYPE } from '../assertion-type.ts';
import type { ClientKeys } from '../oauth/client-keys.ts';
import { newSecret } from '../oauth/digest.ts';
import { fetchJson, type JsonAnswer, type OutboundRules } from '../outbound/fetch-json.ts';

/** What must come back with the answer, and prove itself at the token endpoint. */
export interface SignInUnderWay {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** Us, as the other side knows us. */
export interface ClientThere {
  readonly clientId: string;
  /** Null: a public client, or one that signs. */
  readonly clientSecret: string | null;
  /** For a client with a key: what proves to the audience who we are. */
  readonly sign?: (audience: string) => Promise<string>;
  readonly redirectUri: string;
}

const ID_TOKEN_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'RS384', 'ES384'];
const CLOCK_SKEW_S = 30;

/**
 * Where the browser goes for a code (RFC 6749 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1), and what to remember until it is back. `request` comes back in
 * front of the state.
 */
export function beginCodeFlow(
  endpoint: URL,
  client: ClientThere,
  request: string,
  parameters: Readonly<Record<string, string>>,
): { url: string; underWay: SignInUnderWay } {
  const underWay = { state: newSecret(), nonce: newSecret(), verifier: newSecret() };
  const url = new URL(endpoint);
  const all = {
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    state: `${request}.${underWay.state}`,
    nonce: underWay.nonce,
    code_challenge: createHash('sha256').update(underWay.verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...parameters,
  };
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
  return { url: url.href, underWay };
}

/** RFC 6749 4.1.3. @throws Error unless the answer is 200 */
export async function tradeCode(
  endpoint: URL,
  client: ClientThere,
  code: string,
  verifier: string,
  rules: OutboundRules,
): Promise<JsonAnswer['body']> {
  const { form, headers } = await proofOf(client, endpoint.href);
  const answer = await fetchJson(endpoint, rules, {
    method: 'POST',
    form: {
      grant_type: 'authorization_code',
      code,
      redirect_uri: client.redirectUri,
      code_verifier: verifier,
      ...form,
    },
    headers,
  });
  if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}`);
  return answer.body;
}

interface Proof {
  readonly form: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** How the token endpoint knows us: a signed assertion (RFC 7523), a secret (RFC 6749 2.3.1), or our id alone. */
async function proofOf({ clientId, clientSecret, sign }: ClientThere, endpoint: string): Promise<Proof> {
  if (sign)
    return {
      form: { client_assertion_type: ASSERTION_TYPE, client_assertion: await sign(endpoint) },
      headers: {},
    };
  if (clientSecret === null) return { form: { client_id: clientId }, headers: {} };
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`);
  return { form: {}, headers: { authorization: `Basic ${basic.toString('base64')}` } };
}

/** OpenID Connect Core 3.1.3.7. @throws Error for anything that is not as it must be */
export async function verifyIdToken(
  idToken: string,
  expected: {
    readonly issuer: string;
    readonly clientId: string;
    readonly jwksUri: string;
    readonly nonce: string;
  },
  keys: ClientKeys,
): Promise<JWTPayload> {
  const header = decodeProtectedHeader(idToken);
  const { issuer, clientId, jwksUri, nonce } = expected;
  if (!ID_TOKEN_ALGORITHMS.includes(String(header.alg))) throw new Error('algorithm');
  const key = await keys.find({ jwksUri }, { ...header, alg: String(header.alg) });
  const { payload } = await jwtVerify(idToken, key, {
    algorithms: ID_TOKEN_ALGORITHMS,
    issuer,
    audience: clientId,
    requiredClaims: ['sub', 'exp', 'iat', 'nonce'],
    clockTolerance: CLOCK_SKEW_S,
  });
  if (payload['nonce'] !== nonce) throw new Error('another nonce');
  if (Array.isArray(payload.aud) && payload.aud.length > 1 && payload['azp'] !== clientId)
    throw new Error('another party');
  return payload;
}
