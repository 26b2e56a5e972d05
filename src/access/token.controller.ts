import { Body, Controller, Get, Header, Headers, HttpCode, Inject, Post, UseFilters } from '@nestjs/common';
import { isPageClient } from './clients.ts';
import { SIGNING_KEY } from './injection.ts';
import { AuthenticateClient } from './oauth/authenticate-client.ts';
import { GiveTokens, type TokenAnswer } from './oauth/give-tokens.ts';
import { OAuthError, OAuthErrorFilter } from './oauth/oauth-error.ts';
import { readForm } from './oauth/read-form.ts';
import { TradeCode } from './oauth/trade-code.ts';
import type { SigningKeys } from './signing-key.ts';

export const GRANT_TYPES: readonly string[] = ['client_credentials', 'authorization_code', 'refresh_token'];

/** The token endpoint (RFC 6749 3.2) and our public keys. */
@Controller('auth')
@UseFilters(OAuthErrorFilter)
export class TokenController {
  constructor(
    @Inject(AuthenticateClient) private readonly clients: AuthenticateClient,
    @Inject(GiveTokens) private readonly give: GiveTokens,
    @Inject(TradeCode) private readonly trade: TradeCode,
    @Inject(SIGNING_KEY) private readonly keys: SigningKeys,
  ) {}

  @Post('token')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @Header('Pragma', 'no-cache')
  async token(@Body() body: unknown, @Headers('authorization') authorization?: string): Promise<TokenAnswer> {
    const form = readForm(body);
    // First of all: an unknown grant needs no proof of anything.
    const kind = form['grant_type'] ?? '';
    if (!GRANT_TYPES.includes(kind))
      throw new OAuthError('unsupported_grant_type', `grant_type must be one of ${GRANT_TYPES.join(', ')}`);
    const client = await this.clients.authenticate(form, authorization);
    // A script that got into a page must not get a token that works elsewhere: the page's codes open sessions of its browser only.
    if (isPageClient(client.id))
      throw new OAuthError('unauthorized_client', 'the pages of this server have no tokens');
    if (kind === 'authorization_code') return this.trade.code(client, form);
    if (kind === 'refresh_token') return this.trade.refresh(client, form);
    if (client.isPublic)
      throw new OAuthError('unauthorized_client', 'a public client has no rights of its own');
    return this.give.toClient(client, form['scope']);
  }

  /** The public halves of the keys that our tokens are signed with (RFC 7517). */
  @Get('jwks')
  @Header('Cache-Control', 'public, max-age=600')
  jwks(): Promise<object> {
    return this.keys.publicSet();
  }
}
