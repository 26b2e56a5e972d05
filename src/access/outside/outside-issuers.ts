import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { Failure } from '../../kernel/errors.ts';
import type { OutsideTokens, VerifiedToken } from '../access-tokens.ts';
import type { ClientKeys } from '../oauth/client-keys.ts';
import { parseScopes, type Scope, scopeText } from '../scope.ts';
import { type ClaimMapping, claim, fhirUserOf, readMapping, rolesOf } from './read-claims.ts';

/** An authorization server beside ours (Keycloak, Entra), as the operator describes it. */
export interface OutsideIssuer extends ClaimMapping {
  readonly issuer: string;
  /** What `aud` must hold: this server as the issuer knows it. */
  readonly audience: string;
  readonly jwksUri: string;
  readonly algorithms: readonly string[];
  readonly scopeClaim: string;
  /** Entra allows no slash in a scope: `%2f` is read as one. */
  readonly decodesScopes: boolean;
  /** Its words for rights, and the scopes each means. */
  readonly scopes: Readonly<Record<string, string>>;
  readonly clientIdClaim: string;
  readonly patientClaim: string;
  /** Published in our SMART configuration in place of ours, when both are given. */
  readonly authorizationEndpoint?: string;
  readonly tokenEndpoint?: string;
}

/** Never HS*: a public key would be its secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'];

/** @throws Failure `config.invalid` */
export function readIssuers(text: string): OutsideIssuer[] {
  if (text.trim() === '') return [];
  try {
    return (JSON.parse(text) as Record<string, unknown>[]).map(readIssuer);
  } catch {
    throw new Failure(
      'config.invalid',
      'AUTH_ISSUERS must be a JSON array of {"issuer", "audience", "jwksUri"}, all three non-empty, and algorithms without a shared secret. See docs/access.md.',
    );
  }
}

function readIssuer(entry: Record<string, unknown>): OutsideIssuer {
  const need = (name: string): string => {
    const value = entry[name];
    if (typeof value !== 'string' || value === '') throw new Error(name);
    return value;
  };
  const may = (name: string, other: string): string =>
    typeof entry[name] === 'string' ? String(entry[name]) : other;
  const algorithms = (entry['algorithms'] ?? ['RS256', 'PS256', 'ES256']) as string[];
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    algorithms.some((one) => !ALGORITHMS.includes(one))
  )
    throw new Error('algorithms');
  const scopes = (entry['scopes'] ?? {}) as Record<string, string>;
  for (const one of Object.values(scopes)) parseScopes(one);
  return {
    ...readMapping(entry),
    issuer: need('issuer'),
    audience: need('audience'),
    jwksUri: new URL(need('jwksUri')).href,
    algorithms,
    scopeClaim: may('scopeClaim', 'scope'),
    decodesScopes: entry['decodesScopes'] === true,
    scopes,
    clientIdClaim: may('clientIdClaim', 'azp'),
    patientClaim: may('patientClaim', 'patient'),
    ...(typeof entry['authorizationEndpoint'] === 'string'
      ? { authorizationEndpoint: need('authorizationEndpoint') }
      : {}),
    ...(typeof entry['tokenEndpoint'] === 'string' ? { tokenEndpoint: need('tokenEndpoint') } : {}),
  };
}

/** Verifies tokens of the listed issuers. The issuer is chosen from the list by what the token says, and never an address to ask. */
export class OutsideIssuers implements OutsideTokens {
  constructor(
    private readonly issuers: readonly OutsideIssuer[],
    private readonly keys: ClientKeys,
    /** Our FHIR base URL. */
    private readonly base: string,
  ) {}

  verify(token: string, issuer: string): Promise<VerifiedToken> | null {
    const known = this.issuers.find((one) => one.issuer === issuer);
    return known ? this.verifyOf(known, token) : null;
  }

  private async verifyOf(known: OutsideIssuer, token: string): Promise<VerifiedToken> {
    const header = decodeProtectedHeader(token);
    if (!known.algorithms.includes(String(header.alg))) throw new Error('algorithm');
    // RFC 9068 4: a token for something else (a logout, a proof of possession) names its kind there.
    if (header.typ !== undefined && !/^(application\/)?(at\+)?jwt$/i.test(header.typ)) throw new Error('typ');
    const key = await this.keys.find({ jwksUri: known.jwksUri }, { ...header, alg: String(header.alg) });
    const { payload } = await jwtVerify(token, key, {
      algorithms: [...known.algorithms],
      issuer: known.issuer,
      audience: known.audience,
      requiredClaims: ['exp', 'iat', 'sub'],
    });
    checkIsAccessToken(payload);
    if ((payload.iat as number) > Date.now() / 1_000 + CLOCK_SKEW_S) throw new Error('iat in the future');
    return this.verified(known, payload);
  }

  private verified(known: OutsideIssuer, payload: JWTPayload): VerifiedToken {
    const scopes = scopesOf(payload, known);
    const patient = claim(payload, known.patientClaim);
    const fhirUser = fhirUserOf(payload, known, this.base);
    const clientId = String(
      claim(payload, known.clientIdClaim) ?? payload['client_id'] ?? payload['appid'] ?? '',
    );
    if (clientId === '') throw new Error('no client');
    return {
      grant: {
        clientId,
        // Two issuers may both have a "17".
        subject: `${known.issuer}#${payload.sub}`,
        scopes,
        ...(typeof patient === 'string' && /^[A-Za-z0-9.-]{1,64}$/.test(patient) ? { patient } : {}),
        ...(fhirUser === undefined ? {} : { fhirUser }),
        roles: rolesOf(payload, known),
        tokenId: String(payload.jti ?? `${known.issuer}#${payload.sub}#${payload.iat}`),
      },
      endsAtS: payload.exp as number,
      scope: scopeText(scopes),
      family: null,
      issuer: known.issuer,
    };
  }
}

/** How far clocks may lie apart. */
const CLOCK_SKEW_S = 30;
/** What Keycloak's `typ` claim says of tokens that are for itself and for apps. */
const OTHER_KINDS: readonly unknown[] = ['ID', 'Refresh', 'Offline', 'Logout', 'Serialized-ID'];

/** OpenID Connect Core 2: an ID token tells an app who signed in, and opens nothing here; nor does any other that is no access token. */
function checkIsAccessToken(payload: JWTPayload): void {
  if (
    payload['nonce'] !== undefined ||
    payload['at_hash'] !== undefined ||
    payload['events'] !== undefined ||
    OTHER_KINDS.includes(payload['typ'])
  )
    throw new Error('no access token');
}

/** Words that are no scopes of ours (`profile`, `email`) grant nothing. */
function scopesOf(payload: JWTPayload, known: OutsideIssuer): Scope[] {
  const value = claim(payload, known.scopeClaim);
  const words = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(' ') : [];
  return words.flatMap((word) => {
    const text = Object.hasOwn(known.scopes, word) ? String(known.scopes[word]) : word;
    try {
      return parseScopes(known.decodesScopes ? text.replaceAll(/%2f/gi, '/') : text);
    } catch {
      return [];
    }
  });
}
