import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 bits that nobody guesses, as text for URLs, forms and cookies. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** How a secret stands in the database. One of 256 random bits needs no slow hash. */
export const digestOf = (secret: string): string => hash('sha256', secret, 'base64url');

/** The same in hex, as AUTH_CLIENTS has it. */
export const secretSha256 = (secret: string): string => hash('sha256', secret, 'hex');

/** Are they the same? Takes as long whether they are or not. */
export function sameSecret(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
