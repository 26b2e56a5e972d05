import { Body, Controller, Header, Headers, HttpCode, Inject, Post, UseFilters } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { AccessTokens, type VerifiedToken } from './access-tokens.ts';
import { AuthenticateClient } from './oauth/authenticate-client.ts';
import { type Family, GrantsStore } from './oauth/grants.store.ts';
import { OAuthError, OAuthErrorFilter } from './oauth/oauth-error.ts';
import { readForm } from './oauth/read-form.ts';
import { Revocations } from './oauth/revocations.ts';

const INACTIVE = { active: false } as const;

/** What a token is worth now (RFC 7662), and the end of one (RFC 7009). */
@Controller('auth')
@UseFilters(OAuthErrorFilter)
export class TokenStatusController {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(AuthenticateClient) private readonly clients: AuthenticateClient,
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * Each client learns of its own tokens; one with the scope word `introspect` of all. Of any other the answer is that of a token that never
   * was.
   */
  @Post('introspect')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async introspect(@Body() body: unknown, @Headers('authorization') authorization?: string): Promise<object> {
    const form = readForm(body);
    const asker = await this.asker(form, authorization);
    const token = form['token'];
    if (token === undefined) throw new OAuthError('invalid_request', 'token is missing');
    const verified = await this.tokens.inspect(token).catch(() => null);
    if (verified)
      return asker.all || asker.id === verified.grant.clientId ? this.sayToken(verified) : INACTIVE;
    const family = await this.grants.familyOfRefresh(token);
    if (!family?.active) return INACTIVE;
    const own = asker.id === family.approval.content.clientId;
    return asker.all || own ? this.sayRefresh(family) : INACTIVE;
  }

  /** A client ends its own tokens; a refresh token ends with all that came of its approval. Of others nothing is said. */
  @Post('revoke')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async revoke(@Body() body: unknown, @Headers('authorization') authorization?: string): Promise<void> {
    const form = readForm(body);
    const client = await this.clients.authenticate(form, authorization);
    const token = form['token'];
    if (token === undefined) throw new OAuthError('invalid_request', 'token is missing');
    const family = await this.grants.familyOfRefresh(token);
    if (family) {
      if (family.approval.content.clientId === client.id) await this.revocations.endFamily(family.id);
      return;
    }
    const verified = await this.tokens.inspect(token).catch(() => null);
    if (verified?.grant.clientId === client.id)
      await this.revocations.endToken(verified.grant.tokenId, verified.endsAtS);
  }

  /** By its own credentials, or by an access token that has the word `introspect`. */
  private async asker(
    form: Parameters<AuthenticateClient['authenticate']>[0],
    authorization: string | undefined,
  ) {
    const bearer = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
    if (bearer !== undefined) {
      const found = await this.tokens.inspect(bearer).catch(() => null);
      if (!found?.scope.split(' ').includes('introspect'))
        throw new OAuthError('invalid_client', 'the token does not allow introspection');
      return { id: found.grant.clientId, all: true };
    }
    const client = await this.clients.authenticate(form, authorization);
    if (client.isPublic) throw new OAuthError('invalid_client', 'a public client cannot prove who it is');
    return { id: client.id, all: client.words.includes('introspect') };
  }

  private sayToken({ grant, scope, endsAtS, issuer }: VerifiedToken): object {
    return {
      active: true,
      token_type: 'Bearer',
      client_id: grant.clientId,
      sub: grant.subject,
      iss: issuer ?? this.settings.baseUrl,
      aud: `${this.settings.baseUrl}/fhir`,
      scope,
      exp: endsAtS,
      jti: grant.tokenId,
      ...(grant.patient ? { patient: grant.patient } : {}),
      ...(grant.encounter ? { encounter: grant.encounter } : {}),
      ...(grant.fhirUser ? { fhirUser: `${this.settings.baseUrl}/fhir/${grant.fhirUser}` } : {}),
    };
  }

  private sayRefresh({ approval, endsAtS }: Family): object {
    const { clientId, scope, subject } = approval.content;
    return {
      active: true,
      client_id: clientId,
      sub: subject,
      iss: this.settings.baseUrl,
      scope,
      exp: endsAtS,
    };
  }
}
