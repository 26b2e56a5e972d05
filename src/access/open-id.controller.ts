import { Controller, Get, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';
import { OPEN_ID } from './injection.ts';
import { sameSecret } from './oauth/digest.ts';
import { readForm } from './oauth/read-form.ts';
import { type AuthorizationRequest, RequestStore } from './oauth/request.store.ts';
import { Revocations } from './oauth/revocations.ts';
import type { OpenIdProvider } from './outside/open-id-provider.ts';
import { PageSessions } from './page-sessions.ts';
import { faultPage } from './pages/auth-pages.ts';
import { pageHeaders } from './pages/page-headers.ts';
import { AuditSignIn } from './people/audit-sign-in.ts';
import { BROWSER_COOKIE, readCookie } from './people/cookies.ts';
import { SignInPages } from './people/sign-in-pages.ts';

/** Sign-in with the hospital's OpenID provider, and sign-out. */
@Controller('auth')
export class OpenIdController {
  constructor(
    @Inject(OPEN_ID) private readonly provider: OpenIdProvider | null,
    @Inject(RequestStore) private readonly requests: RequestStore,
    @Inject(SignInPages) private readonly pages: SignInPages,
    @Inject(PageSessions) private readonly sessions: PageSessions,
    @Inject(AuditSignIn) private readonly audit: AuditSignIn,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  @Get('open-id/start')
  async start(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const id = readForm(query)['request'] ?? '';
    const asked = await this.asked(request, id);
    if (!asked || !this.provider) return this.fault(reply, 400, TOO_OLD);
    try {
      const { url, underWay } = await this.provider.begin(id);
      await this.requests.change(id, { ...asked, openId: underWay });
      reply.header('referrer-policy', 'no-referrer').redirect(url, 303);
    } catch {
      this.fault(reply, 502, AWAY);
    }
  }

  /** OpenID Connect Core 3.1.2.5. The state holds the request's id, so that an answer finds its way without another cookie. */
  @Get('open-id/callback')
  async callback(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const form = readForm(query);
    const [id = '', state = ''] = (form['state'] ?? '').split('.');
    const asked = await this.asked(request, id);
    if (!asked?.openId || !this.provider || !sameSecret(state, asked.openId.state))
      return this.fault(reply, 400, TOO_OLD);
    const { openId, ...rest } = asked;
    // Before the code is traded: the same answer twice signs in once.
    await this.requests.change(id, rest);
    if (form['code'] === undefined) return this.fault(reply, 401, REFUSED);
    try {
      const person = await this.provider.finish(form['code'], form['iss'], openId);
      await this.audit.openId(request, asked.clientId, person);
      await this.pages.open(reply, person);
      await this.requests.change(id, { ...rest, signedInAgain: true });
    } catch (error) {
      // A database that is away is said as such; all else is the provider's answer.
      if (error instanceof Failure) throw error;
      await this.audit.openId(request, asked.clientId, null);
      return this.fault(reply, 401, REFUSED);
    }
    reply.redirect(`${this.settings.baseUrl}/auth/continue?request=${id}`, 303);
  }

  /**
   * Ends the session of this browser, those of our pages in all its tabs, and what apps got for as long as the person is signed in. What was approved for longer (`offline_access`)
   * is ended by the app (`/auth/revoke`).
   */
  @Post('sign-out')
  async signOut(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const ended = await this.pages.close(request, reply);
    if (ended) await this.revocations.endSubject(ended.subject, ended.id);
    await this.sessions.close(request, reply);
    reply.status(204).send();
  }

  private async asked(request: FastifyRequest, id: string): Promise<AuthorizationRequest | null> {
    const browser = readCookie(request, BROWSER_COOKIE);
    return browser === null ? null : this.requests.find(id, browser);
  }

  private fault(reply: FastifyReply, status: number, text: string): void {
    reply.status(status).headers(pageHeaders(this.settings.FRAME_ANCESTORS)).send(faultPage(text));
  }
}

const TOO_OLD =
  'This sign-in is too old, or was begun in another browser. Go back to the app and begin again.';
const AWAY = 'The sign-in service of the hospital does not answer. Try again in a moment.';
const REFUSED = 'The sign-in service of the hospital did not sign you in.';
