import { hash, randomBytes } from 'node:crypto';

/** 256 bits that nobody guesses, as text for URLs, forms and cookies. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** How a secret stands in the database. One of 256 random bits needs no slow hash. */
export const digestOf = (secret: string): string => hash('sha256', secret, 'base64url');

/** The same in hex, as AUTH_CLIENTS has it. */
export const secretSha256 = (secret: string): string => hash('sha256', secret, 'hex');
