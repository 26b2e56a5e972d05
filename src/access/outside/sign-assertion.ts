import { SignJWT } from 'jose';
import type { ClientKeyAlgorithm, SigningKeys } from '../signing-key.ts';

/** It is used at once: time for two clocks that differ, and no more. SMART App Launch 2.2 allows 300. */
export const OUR_ASSERTION_LIFETIME_S = 120;

/**
 * Proves to somebody else's token endpoint who we are (SMART App Launch 2.2 "Asymmetric authentication", RFC 7523): each assertion is for one endpoint and one use. There
 * is no `iat` in it, which a server whose clock is behind ours would refuse, and no `jku`: the other side has our key set, or its address, from the registration.
 */
export async function signAssertion(
  clientId: string,
  audience: string,
  keys: SigningKeys,
  algorithm: ClientKeyAlgorithm,
): Promise<string> {
  const key = await keys.current(algorithm);
  return new SignJWT()
    .setProtectedHeader({ alg: algorithm, kid: key.kid, typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(audience)
    .setJti(crypto.randomUUID())
    .setExpirationTime(Math.floor(Date.now() / 1_000) + OUR_ASSERTION_LIFETIME_S)
    .sign(key.privateKey);
}
