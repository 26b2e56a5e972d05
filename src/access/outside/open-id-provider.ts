import { Failure } from '../../kernel/errors.ts';
import type { ClientKeys } from '../oauth/client-keys.ts';
import { fetchJson, type OutboundRules } from '../outbound/fetch-json.ts';
import type { Person } from '../people/session.store.ts';
import type { SigningKeys } from '../signing-key.ts';
import { type ClientProof, clientThere, readProof } from './client-proof.ts';
import {
  beginCodeFlow,
  type ClientThere,
  type SignInUnderWay,
  tradeCode,
  verifyIdToken,
} from './code-flow.ts';
import { type ClaimMapping, fhirUserOf, readMapping, rolesOf } from './read-claims.ts';

/** The hospital's provider, as the operator describes it. */
export interface ProviderSettings extends ClaimMapping, ClientProof {
  readonly issuer: string;
  readonly clientId: string;
  /** What a signed assertion is for: some providers want their issuer there; null: their token endpoint. */
  readonly clientAudience: string | null;
  /** What the button says. */
  readonly name: string;
  readonly scope: string;
}

/** @throws Failure `config.invalid` */
export function readProvider(text: string): ProviderSettings | null {
  if (text.trim() === '') return null;
  try {
    const entry = JSON.parse(text) as Record<string, unknown>;
    const { issuer, clientId, clientAudience, name, scope } = entry;
    if (typeof issuer !== 'string' || !URL.canParse(issuer) || typeof clientId !== 'string')
      throw new Error();
    const proof = readProof(entry);
    const hasAudience = typeof clientAudience === 'string' && clientAudience !== '';
    if (clientAudience !== undefined && (!hasAudience || proof.clientAlgorithm === null)) throw new Error();
    return {
      ...readMapping(entry),
      ...proof,
      issuer,
      clientId,
      clientAudience: hasAudience ? clientAudience : null,
      name: typeof name === 'string' ? name : new URL(issuer).host,
      scope: typeof scope === 'string' ? scope : 'openid profile',
    };
  } catch {
    throw new Failure(
      'config.invalid',
      'AUTH_OPENID must be a JSON object with "issuer" (a URL), "clientId", and "clientSecret" or "clientAlgorithm" (RS384, ES384; "clientAudience" only beside it), not both. See docs/access.md.',
    );
  }
}

interface Discovered {
  readonly authorizationEndpoint: URL;
  readonly tokenEndpoint: URL;
  readonly jwksUri: string;
  /** Of the clock that never goes back. */
  readonly untilMs: number;
}

const DISCOVERY_KEPT_MS = 600_000;

/** Signs people in with OpenID Connect (Core 3.1, Discovery 4): code, PKCE S256, state, nonce. */
export class OpenIdProvider {
  private discovered: Discovered | null = null;
  private readonly client: ClientThere;

  constructor(
    readonly settings: ProviderSettings,
    private readonly rules: OutboundRules,
    private readonly keys: ClientKeys,
    /** Our own address. */
    private readonly baseUrl: string,
    ours: SigningKeys,
  ) {
    const back = `${baseUrl}/auth/open-id/callback`;
    this.client = clientThere(settings, back, ours, settings.clientAudience ?? undefined);
  }

  /** Where the browser goes, and what to remember until it is back. `request` comes back in front of the state. */
  async begin(request: string): Promise<{ url: string; underWay: SignInUnderWay }> {
    const { authorizationEndpoint } = await this.discover();
    return beginCodeFlow(authorizationEndpoint, this.client, request, { scope: this.settings.scope });
  }

  /**
   * Who signed in. `iss` is what the answer names as its issuer (RFC 9207), if it does.
   *
   * @throws Error for anything that is not as it must be
   */
  async finish(code: string, iss: string | undefined, underWay: SignInUnderWay): Promise<Person> {
    if (iss !== undefined && iss !== this.settings.issuer) throw new Error('another issuer answered');
    const { tokenEndpoint, jwksUri } = await this.discover();
    const answer = await tradeCode(tokenEndpoint, this.client, code, underWay.verifier, this.rules);
    const { issuer, clientId } = this.settings;
    const payload = await verifyIdToken(
      String(answer['id_token']),
      { issuer, clientId, jwksUri, nonce: underWay.nonce },
      this.keys,
    );
    const fhirUser = fhirUserOf(payload, this.settings, `${this.baseUrl}/fhir`);
    return {
      subject: `${this.settings.issuer}#${payload.sub}`,
      ...(fhirUser === undefined ? {} : { fhirUser }),
      roles: rolesOf(payload, this.settings),
      authTimeS: Math.floor(Date.now() / 1_000),
    };
  }

  private async discover(): Promise<Discovered> {
    if (this.discovered && this.discovered.untilMs > performance.now()) return this.discovered;
    const { issuer } = this.settings;
    const place = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { status, body } = await fetchJson(place, this.rules);
    // Discovery 4.3: the document must be of the very issuer that was asked.
    if (status !== 200 || body['issuer'] !== issuer) throw new Error('the provider does not describe itself');
    this.discovered = {
      authorizationEndpoint: new URL(String(body['authorization_endpoint'])),
      tokenEndpoint: new URL(String(body['token_endpoint'])),
      jwksUri: String(body['jwks_uri']),
      untilMs: performance.now() + DISCOVERY_KEPT_MS,
    };
    return this.discovered;
  }
}
