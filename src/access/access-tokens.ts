import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { type Grant, rolesAmong } from './grant.ts';
import { resourceScopes } from './oauth/scope-words.ts';
import { type Scope, scopeText } from './scope.ts';
import { SIGNING_ALGORITHM, type SigningKeys } from './signing-key.ts';

export type { Grant } from './grant.ts';

/** Tokens name their issuer; one data folder is one issuer, under whatever address it is reached. */
export const ISSUER = 'prelim-local';

/** SMART backend services: not above 300 s. */
export const TOKEN_LIFETIME_S = 300;
/** Of a person who signed in to an app; refreshed by the app, ended at once by revocation. */
export const PERSON_TOKEN_LIFETIME_S = 3_600;
/** A token asked for at the command line is for a person's working day. */
export const LOCAL_TOKEN_LIFETIME_S = 12 * 3_600;
/** Longer ones are not ours; checked before any work is done on them. */
const TOKEN_CHARS_MAX = 8_192;
/** Verified tokens remembered, so that a signature is checked once and not once per request. */
const REMEMBERED_MAX = 10_000;

/** What a token is made of. */
export interface TokenContent extends Partial<Omit<Grant, 'scopes' | 'tokenId'>> {
  readonly clientId: string;
  /** Claim `scope`, with words such as `openid`. */
  readonly scope: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly tokenId: string;
  /** Seconds since 1970. */
  readonly endsAtS: number;
}

/** A token that was looked into and found good. */
export interface VerifiedToken {
  readonly grant: Grant;
  readonly endsAtS: number;
  readonly scope: string;
  readonly family: string | null;
  /** Left out: ours. */
  readonly issuer?: string;
}

/** Verifies tokens that somebody else issued; null: this issuer is not one of them. */
export interface OutsideTokens {
  verify(token: string, issuer: string): Promise<VerifiedToken> | null;
}

interface Remembered extends VerifiedToken {
  /** Key of ours; null for a token of another issuer. */
  readonly kid: string | null;
}

/** Issues and verifies our own access tokens (RFC 9068, ES256), and lets those of configured outside issuers through. */
export class AccessTokens {
  private readonly remembered = new Map<string, Remembered>();
  /** Token ids and families that ended before their time, until they would have ended by themselves. */
  private readonly ended = new Map<string, number>();

  constructor(
    private readonly keys: SigningKeys,
    private readonly issuer: string,
    private readonly clock: Clock,
    private readonly outside: OutsideTokens | null = null,
  ) {}

  async issue(clientId: string, scopes: readonly Scope[], lifetimeS = TOKEN_LIFETIME_S): Promise<string> {
    return (await this.issueFor({ clientId, scope: scopeText(scopes) }, lifetimeS)).token;
  }

  async issueFor(content: TokenContent, lifetimeS: number): Promise<IssuedToken> {
    const now = Math.floor(this.clock.now().getTime() / 1_000);
    const key = await this.keys.current();
    const tokenId = crypto.randomUUID();
    const token = await new SignJWT({
      client_id: content.clientId,
      scope: content.scope,
      ...given('patient', content.patient),
      ...given('encounter', content.encounter),
      ...given('fhirUser', content.fhirUser),
      ...given('roles', content.roles?.length ? content.roles : undefined),
      ...given('purpose_of_use', content.purposeOfUse),
      ...given('sid', content.family),
    })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: 'at+jwt', kid: key.kid })
      .setIssuer(this.issuer)
      .setAudience(AUDIENCE)
      .setSubject(content.subject ?? content.clientId)
      .setJti(tokenId)
      .setIssuedAt(now)
      .setExpirationTime(now + lifetimeS)
      .sign(key.privateKey);
    return { token, tokenId, endsAtS: now + lifetimeS };
  }

  /** @throws Failure `auth.invalid`, without telling which check failed */
  async verify(token: string): Promise<Grant> {
    return (await this.inspect(token)).grant;
  }

  /** The same, with what introspection tells beside the grant. */
  async inspect(token: string): Promise<VerifiedToken> {
    const nowS = this.clock.now().getTime() / 1_000;
    const digest = token.length > TOKEN_CHARS_MAX ? '' : hash('sha256', token, 'base64');
    const known = this.remembered.get(digest);
    if (known && known.endsAtS > nowS && (known.kid === null || this.keys.has(known.kid))) return known;
    try {
      if (digest === '') throw new Error('too long');
      const issuer = decodeJwt(token).iss;
      const verified =
        issuer === this.issuer ? await this.verifyOwn(token) : await this.verifyOutside(token, issuer);
      if (this.isOver(verified.grant)) throw new Error('ended');
      this.remember(digest, verified);
      return verified;
    } catch (cause) {
      throw new Failure(
        'auth.invalid',
        'The access token is not valid here or has expired. Get a new one from /auth/token, or with "npm run -s token".',
        { cause },
      );
    }
  }

  /** From now on no token with this id, or of this family, is valid in this process. */
  end(key: string, endsAtS: number): void {
    const nowS = this.clock.now().getTime() / 1_000;
    for (const [old, until] of this.ended) if (until < nowS) this.ended.delete(old);
    this.ended.set(key, endsAtS);
    for (const [digest, { grant, family }] of this.remembered)
      if (grant.tokenId === key || family === key) this.remembered.delete(digest);
  }

  /** Was it ended before its time, as far as this process has heard? */
  isOver({ tokenId, family }: Pick<Partial<Grant>, 'tokenId' | 'family'>): boolean {
    return this.ended.has(tokenId ?? '') || this.ended.has(family ?? '');
  }

  private async verifyOwn(token: string): Promise<Remembered> {
    const { kid } = decodeProtectedHeader(token);
    const key = await this.keys.find(String(kid));
    if (!key) throw new Error('unknown key');
    const { payload } = await jwtVerify(token, key.publicKey, {
      algorithms: [SIGNING_ALGORITHM],
      typ: 'at+jwt',
      issuer: this.issuer,
      audience: AUDIENCE,
      requiredClaims: ['exp', 'iat', 'jti', 'client_id', 'scope', 'sub'],
      maxTokenAge: LOCAL_TOKEN_LIFETIME_S,
      currentDate: this.clock.now(),
    });
    const grant: Grant = {
      clientId: String(payload['client_id']),
      subject: String(payload.sub),
      scopes: resourceScopes(String(payload['scope'])),
      ...words('patient', payload['patient']),
      ...words('encounter', payload['encounter']),
      ...words('fhirUser', payload['fhirUser']),
      roles: rolesAmong(payload['roles']),
      ...words('purposeOfUse', payload['purpose_of_use']),
      tokenId: String(payload.jti),
      ...words('family', payload['sid']),
    };
    return {
      grant,
      endsAtS: payload.exp as number,
      scope: String(payload['scope']),
      family: grant.family ?? null,
      kid: key.kid,
    };
  }

  private async verifyOutside(token: string, issuer: string | undefined): Promise<Remembered> {
    const verifying = this.outside?.verify(token, String(issuer));
    if (!verifying) throw new Error('unknown issuer');
    return { ...(await verifying), kid: null };
  }

  private remember(digest: string, verified: VerifiedToken): void {
    if (this.remembered.size >= REMEMBERED_MAX) this.remembered.clear();
    this.remembered.set(digest, verified as Remembered);
  }
}

/** Tokens are for this server, whatever address it is reached under. */
const AUDIENCE = 'prelim';

const given = (name: string, value: unknown) => (value === undefined ? {} : { [name]: value });

function words<N extends string>(name: N, value: unknown): { [K in N]?: string } {
  return (typeof value === 'string' ? { [name]: value } : {}) as { [K in N]?: string };
}
