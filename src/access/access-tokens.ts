import { hash } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { parseScopes, type Scope, scopeText } from './scope.ts';
import { SIGNING_ALGORITHM, type SigningKey } from './signing-key.ts';

/** Who asks, and what they may do. */
export interface Grant {
  readonly clientId: string;
  readonly scopes: readonly Scope[];
}

/** Tokens name their issuer; one data folder is one issuer, under whatever address it is reached. */
export const ISSUER = 'prelim-local';

/** SMART backend services: not above 300 s. */
export const TOKEN_LIFETIME_S = 300;
/** A token asked for at the command line is for a person's working day. */
export const LOCAL_TOKEN_LIFETIME_S = 12 * 3_600;
/** Longer ones are not ours; checked before any work is done on them. */
const TOKEN_CHARS_MAX = 8_192;
/** Verified tokens remembered, so that a signature is checked once and not once per request. */
const REMEMBERED_MAX = 10_000;

/** Issues and verifies our own access tokens (RFC 9068, ES256). */
export class AccessTokens {
  private readonly remembered = new Map<string, { grant: Grant; exp: number }>();

  constructor(
    private readonly key: SigningKey,
    private readonly issuer: string,
    private readonly clock: Clock,
  ) {}

  issue(clientId: string, scopes: readonly Scope[], lifetimeS = TOKEN_LIFETIME_S): Promise<string> {
    const now = Math.floor(this.clock.now().getTime() / 1_000);
    return new SignJWT({ client_id: clientId, scope: scopeText(scopes) })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: 'at+jwt', kid: this.key.kid })
      .setIssuer(this.issuer)
      .setAudience(AUDIENCE)
      .setSubject(clientId)
      .setJti(crypto.randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + lifetimeS)
      .sign(this.key.privateKey);
  }

  /** @throws Failure `auth.invalid`, without telling which check failed */
  async verify(token: string): Promise<Grant> {
    const nowS = this.clock.now().getTime() / 1_000;
    const digest = token.length > TOKEN_CHARS_MAX ? '' : hash('sha256', token, 'base64');
    const known = this.remembered.get(digest);
    if (known && known.exp > nowS) return known.grant;
    try {
      if (digest === '') throw new Error('too long');
      const { payload } = await jwtVerify(token, this.key.publicKey, {
        algorithms: [SIGNING_ALGORITHM],
        typ: 'at+jwt',
        issuer: this.issuer,
        audience: AUDIENCE,
        requiredClaims: ['exp', 'iat', 'jti', 'client_id', 'scope'],
        maxTokenAge: LOCAL_TOKEN_LIFETIME_S,
        currentDate: this.clock.now(),
      });
      const grant: Grant = {
        clientId: String(payload['client_id']),
        scopes: parseScopes(String(payload['scope'])),
      };
      this.remember(digest, grant, payload.exp as number);
      return grant;
    } catch (cause) {
      throw new Failure(
        'auth.invalid',
        'The access token is not valid here or has expired. Get a new one from /auth/token, or with "npm run -s token".',
        { cause },
      );
    }
  }

  private remember(digest: string, grant: Grant, exp: number): void {
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear();
    this.remembered.set(digest, { grant, exp });
  }
}

/** Tokens are for this server, whatever address it is reached under. */
const AUDIENCE = 'prelim';
