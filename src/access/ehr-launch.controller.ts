import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';
import { EhrLaunches } from './ehr-launches.ts';
import { sameSecret } from './oauth/digest.ts';
import { readForm } from './oauth/read-form.ts';
import { RequestStore } from './oauth/request.store.ts';
import { faultPage } from './pages/auth-pages.ts';
import { pageHeaders } from './pages/page-headers.ts';
import { AuditSignIn } from './people/audit-sign-in.ts';
import { BROWSER_COOKIE, readCookie } from './people/cookies.ts';
import { SignInPages } from './people/sign-in-pages.ts';

/** Where the browser comes back from the authorization server of an EHR. */
@Controller('auth/ehr')
export class EhrLaunchController {
  constructor(
    @Inject(EhrLaunches) private readonly launches: EhrLaunches,
    @Inject(RequestStore) private readonly requests: RequestStore,
    @Inject(SignInPages) private readonly pages: SignInPages,
    @Inject(AuditSignIn) private readonly audit: AuditSignIn,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** SMART App Launch 2.2 "Obtain access token", on our side. The state holds the request's id, and counts once, in the browser that began. */
  @Get('callback')
  async callback(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const form = readForm(query);
    const [id = '', state = ''] = (form['state'] ?? '').split('.');
    const browser = readCookie(request, BROWSER_COOKIE);
    const asked = browser === null ? null : await this.requests.find(id, browser);
    if (!asked?.ehr || !sameSecret(state, asked.ehr.state)) return this.fault(reply, 400, TOO_OLD);
    const { ehr: _used, ...rest } = asked;
    await this.requests.change(id, rest);
    if (form['code'] === undefined) return this.fault(reply, 401, REFUSED);
    try {
      const { person, context } = await this.launches.finish(asked, form['code'], form['iss']);
      await this.audit.openId(request, asked.clientId, person);
      if (context === null) return this.fault(reply, 403, NOT_OURS);
      // Whoever was signed in before is not who sits at the EHR.
      await this.pages.open(reply, person);
      await this.requests.change(id, { ...rest, launch: context, signedInAgain: true });
    } catch (error) {
      if (error instanceof Failure) throw error;
      await this.audit.openId(request, asked.clientId, null);
      return this.fault(reply, 401, REFUSED);
    }
    reply.redirect(`${this.settings.baseUrl}/auth/continue?request=${id}`, 303);
  }

  private fault(reply: FastifyReply, status: number, text: string): void {
    reply.status(status).headers(pageHeaders(this.settings.FRAME_ANCESTORS)).send(faultPage(text));
  }
}

const TOO_OLD = 'This launch is too old, or was begun in another browser. Open the page from the EHR again.';
const REFUSED = 'The EHR did not sign you in. Open the page from the EHR again.';
const NOT_OURS =
  'The patient that is open in the EHR is not known here by the number that both sides use, or not to you. Nothing is shown, so that it is not the wrong record.';
