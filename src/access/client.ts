import type { JWK } from 'jose';
import type { Role } from './grant.ts';
import type { Scope } from './scope.ts';

/** SMART App Launch 2.2, asymmetric client authentication. */
export const CLIENT_ALGORITHMS = ['RS384', 'ES384'] as const;
export type ClientAlgorithm = (typeof CLIENT_ALGORITHMS)[number];

/** A program that may ask for tokens. */
export interface Client {
  readonly id: string;
  /** What the person who approves it reads. */
  readonly name: string;
  /** SHA-256 of its secrets in hex: one, or two while it changes; none for a client with keys, or a public one. */
  readonly secrets: readonly string[];
  /** Its public keys, or where they are. */
  readonly jwks?: readonly JWK[];
  readonly jwksUri?: string;
  /** The one algorithm its assertions may be signed with; left out: either. */
  readonly algorithm?: ClientAlgorithm;
  /** It can keep no secret (an app in a browser or on a telephone): authorization code with PKCE only. */
  readonly isPublic: boolean;
  readonly scopes: readonly Scope[];
  /** Words it may ask for: `openid`, `launch`, `offline_access`. */
  readonly words: readonly string[];
  /** Compared as whole strings. */
  readonly redirectUris: readonly string[];
  /** What it is itself, with client credentials. */
  readonly roles: readonly Role[];
  /** An administrator approved it for everybody: nobody is asked again. */
  readonly isPreapproved: boolean;
}
