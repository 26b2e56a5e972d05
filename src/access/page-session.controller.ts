import { Body, Controller, Header, HttpCode, Inject, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isPageClient } from './clients.ts';
import { OAuthError, OAuthErrorFilter } from './oauth/oauth-error.ts';
import { readForm } from './oauth/read-form.ts';
import { TradeCode } from './oauth/trade-code.ts';
import { PageSessions } from './page-sessions.ts';
import { ClientStore } from './registration/client.store.ts';

/** Where a browser page of this server brings its code. It gets a session, and never a token. */
@Controller('auth')
@UseFilters(OAuthErrorFilter)
export class PageSessionController {
  constructor(
    @Inject(ClientStore) private readonly clients: ClientStore,
    @Inject(TradeCode) private readonly trade: TradeCode,
    @Inject(PageSessions) private readonly sessions: PageSessions,
  ) {}

  /** A form as for the token endpoint. The answer: `tab`, and `patient` where an EHR launched the page for one. */
  @Post('page-session')
  @HttpCode(201)
  @Header('Cache-Control', 'no-store')
  async open(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const form = readForm(body);
    const client = await this.clients.find(form['client_id'] ?? '');
    if (!client || !isPageClient(client.id))
      throw new OAuthError('unauthorized_client', 'only the pages of this server have sessions');
    const family = await this.trade.family(client, form);
    const { patient } = family.approval.content;
    return {
      tab: await this.sessions.open(request, reply, family),
      ...(patient === undefined ? {} : { patient }),
    };
  }
}
