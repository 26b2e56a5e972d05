import { randomUUID } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { ASSERTION_TYPE } from '../../src/access/assertion-type.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';
import { token } from './smart-app.ts';

/** A key pair of a client, or of another issuer. */
export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeKey(alg: string, kid: string = randomUUID()): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), alg, use: 'sig', kid } };
}

export const nowS = () => Math.floor(Date.now() / 1_000);

/** An assertion as SMART App Launch 2.2 wants it; `claims` and `header` change it, undefined takes a member away. */
export function assertion(
  server: PrelimServer,
  key: TestKey,
  clientId: string,
  claims: JWTPayload = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const payload = {
    iss: clientId,
    sub: clientId,
    aud: `${server.url}/auth/token`,
    exp: nowS() + 240,
    jti: randomUUID(),
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
    .sign(key.privateKey);
}

export const askWith = (server: PrelimServer, client_assertion: string, more: Record<string, string> = {}) =>
  token(server, {
    grant_type: 'client_credentials',
    client_assertion_type: ASSERTION_TYPE,
    client_assertion,
    scope: 'system/Patient.rs',
    ...more,
  });
