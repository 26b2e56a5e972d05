import { decodeJwt, decodeProtectedHeader, jwtVerify, type ProtectedHeaderParameters } from 'jose';
import { CLIENT_ALGORITHMS, type Client, type ClientAlgorithm } from '../client.ts';
import type { ClientKeys } from './client-keys.ts';

/** SMART App Launch 2.2, "Authentication JWT Claims": `exp` no more than five minutes in the future. */
export const ASSERTION_LIFETIME_S_MAX = 300;
/** How far clocks may lie apart. */
export const CLOCK_SKEW_S = 30;
export const JTI_CHARS_MAX = 255;
/** A 4,096 bit RS384 assertion has about 1,200. */
export const ASSERTION_CHARS_MAX = 8_192;

export interface AssertionSurroundings {
  /** Seconds since 1970. */
  readonly nowS: number;
  /** What `aud` may be: our token endpoint, or our issuer. */
  readonly audiences: readonly string[];
  readonly keys: ClientKeys;
  client(id: string): Promise<Client | undefined>;
  /** Stores the use of a `jti`; false: it was used before. Called last, when all else is right. */
  useOnce(clientId: string, jti: string, endsAtS: number): Promise<boolean>;
}

/**
 * Verifies a client's assertion (RFC 7523, SMART App Launch 2.2 "Asymmetric authentication"). Cheap checks of form come first, then the
 * signature, then the claims, and only what passed them all is remembered: nobody can use up the `jti` of another.
 *
 * @throws Error; the caller answers `invalid_client` whichever check failed
 */
export async function verifyAssertion(
  assertion: string,
  clientId: string | undefined,
  around: AssertionSurroundings,
): Promise<Client> {
  if (assertion.length > ASSERTION_CHARS_MAX) throw new Error('too long');
  const header = decodeProtectedHeader(assertion);
  checkHeader(header);
  const { iss, sub } = decodeJwt(assertion);
  if (typeof iss !== 'string' || iss !== sub) throw new Error('iss and sub must be the client id');
  if (clientId !== undefined && clientId !== iss) throw new Error('another client_id');
  const client = await around.client(iss);
  if (!client || client.isPublic) throw new Error('unknown client');
  if (client.algorithm && client.algorithm !== header.alg) throw new Error('another algorithm');
  checkKeySource(header, client);
  const key = await around.keys.find(client, { ...header, alg: String(header.alg) });
  const { payload } = await jwtVerify(assertion, key, {
    algorithms: [...CLIENT_ALGORITHMS],
    issuer: client.id,
    subject: client.id,
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'jti'],
    clockTolerance: CLOCK_SKEW_S,
    currentDate: new Date(around.nowS * 1_000),
  });
  const { aud, exp, iat, jti } = payload;
  if (typeof aud !== 'string' || !around.audiences.includes(aud)) throw new Error('another audience');
  if (!Number.isInteger(exp) || Number(exp) > around.nowS + ASSERTION_LIFETIME_S_MAX)
    throw new Error('exp too far');
  if (iat !== undefined && iat > around.nowS + CLOCK_SKEW_S) throw new Error('iat in the future');
  if (typeof jti !== 'string' || jti === '' || jti.length > JTI_CHARS_MAX) throw new Error('no jti');
  if (!(await around.useOnce(client.id, jti, Number(exp) + CLOCK_SKEW_S))) throw new Error('used before');
  return client;
}

function checkHeader(header: ProtectedHeaderParameters): void {
  if (!CLIENT_ALGORITHMS.includes(header.alg as ClientAlgorithm)) throw new Error('algorithm');
  if (typeof header.kid !== 'string' || header.kid === '') throw new Error('no kid');
  if (header.typ !== undefined && header.typ.toUpperCase() !== 'JWT') throw new Error('typ');
  for (const name of ['crit', 'jwk', 'x5u', 'x5c']) if (name in header) throw new Error(name);
}

/** `jku` may repeat where the registration says the keys are; it never says where to look. */
function checkKeySource(header: ProtectedHeaderParameters, client: Client): void {
  if (header.jku !== undefined && header.jku !== client.jwksUri) throw new Error('jku');
}
