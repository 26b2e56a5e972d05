import { All, Body, Controller, Get, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import type { Client } from './client.ts';
import { EhrLaunches } from './ehr-launches.ts';
import { AuthorizationSteps } from './oauth/authorization-steps.ts';
import { newSecret } from './oauth/digest.ts';
import { LaunchStore } from './oauth/launch.store.ts';
import { OAuthError } from './oauth/oauth-error.ts';
import { readAuthorization, readTarget } from './oauth/read-authorization.ts';
import { readForm } from './oauth/read-form.ts';
import { type AuthorizationRequest, REQUEST_LIFETIME_S, RequestStore } from './oauth/request.store.ts';
import { readScopeList } from './oauth/scope-words.ts';
import { faultPage, STYLE } from './pages/auth-pages.ts';
import { pageHeaders } from './pages/page-headers.ts';
import { AuditSignIn } from './people/audit-sign-in.ts';
import { BROWSER_COOKIE, readCookie, setCookie } from './people/cookies.ts';
import { SignInPages } from './people/sign-in-pages.ts';
import { ClientStore } from './registration/client.store.ts';

/** The authorization endpoint (RFC 6749 3.1), and the pages between it and the app. */
@Controller('auth')
export class AuthorizeController {
  constructor(
    @Inject(ClientStore) private readonly clients: ClientStore,
    @Inject(RequestStore) private readonly requests: RequestStore,
    @Inject(LaunchStore) private readonly launches: LaunchStore,
    @Inject(EhrLaunches) private readonly ehrs: EhrLaunches,
    @Inject(AuthorizationSteps) private readonly steps: AuthorizationSteps,
    @Inject(SignInPages) private readonly pages: SignInPages,
    @Inject(AuditSignIn) private readonly audit: AuditSignIn,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** GET, and POST with a form (SMART capability `authorize-post`). */
  @All('authorize')
  async authorize(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    try {
      const form = readForm(request.method === 'POST' ? request.body : request.query);
      const target = readTarget(form, await this.clients.find(form['client_id'] ?? ''));
      await this.begin(request, reply, form, target);
    } catch (error) {
      this.fault(reply, error);
    }
  }

  /** The next page of a request, or its answer. */
  @Get('continue')
  async goOn(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.within(query, request, reply, async (id, asked, client) => {
      const session = await this.pages.session(request);
      const step = await this.steps.next(asked, client, session);
      if (step.kind !== 'answer' || session === null)
        return this.pages.show(reply, { id, asked, client, session, step, form: readForm(query) });
      await this.answer(reply, id, asked, session);
    });
  }

  @Post('sign-in')
  async signIn(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.within(body, request, reply, async (id, asked, client) => {
      const { name = '', password = '' } = readForm(body);
      const person = await this.pages.signIn(reply, name, password);
      if (person) this.audit.name(request, client.id, person);
      else if (await this.pages.isAccount(name))
        this.audit.name(request, client.id, { subject: `local:${name.toLowerCase()}`, roles: [] });
      if (!person)
        return this.pages.show(reply, {
          id,
          asked,
          client,
          session: null,
          step: { kind: 'sign-in' },
          form: {},
          failed: true,
        });
      await this.requests.change(id, { ...asked, signedInAgain: true });
      this.goTo(reply, id);
    });
  }

  @Post('patient')
  async patient(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.within(body, request, reply, async (id, asked) => {
      const { patient = '' } = readForm(body);
      await this.requests.change(id, { ...asked, patient });
      this.goTo(reply, id);
    });
  }

  @Post('approve')
  async approve(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.within(body, request, reply, async (id, asked, client) => {
      if (readForm(body)['decision'] !== 'allow') {
        await this.requests.close(id);
        throw new OAuthError('access_denied', 'the person did not allow it');
      }
      const session = await this.pages.session(request);
      if (session) this.audit.name(request, client.id, session);
      const step = await this.steps.next(asked, client, session);
      // What stood on the page is what is approved: when anything changed meanwhile, the way begins again.
      if (session === null || (step.kind !== 'consent' && step.kind !== 'answer'))
        return this.goTo(reply, id);
      await this.answer(reply, id, asked, session);
    });
  }

  @Get('style.css')
  style(@Res() reply: FastifyReply): void {
    reply
      .headers({ 'content-type': 'text/css; charset=utf-8', 'cache-control': 'public, max-age=600' })
      .send(STYLE);
  }

  private async begin(
    request: FastifyRequest,
    reply: FastifyReply,
    form: ReturnType<typeof readForm>,
    { client, redirectUri }: { client: Client; redirectUri: string },
  ): Promise<void> {
    try {
      const asked = readAuthorization(form, client, redirectUri, `${this.settings.baseUrl}/fhir`);
      if (form['ehr'] !== undefined) return await this.goToEhr(request, reply, form, asked);
      const launch =
        form['launch'] === undefined ? undefined : await this.launched(form['launch'], asked, client);
      this.goTo(reply, await this.open(request, reply, launch ? { ...asked, launch } : asked));
    } catch (error) {
      this.refuse(
        reply,
        { redirectUri, ...(form['state'] === undefined ? {} : { state: form['state'] }) },
        error,
      );
    }
  }

  /** Keeps a request for this browser; gives its id. */
  private async open(
    request: FastifyRequest,
    reply: FastifyReply,
    asked: AuthorizationRequest,
  ): Promise<string> {
    const browser = readCookie(request, BROWSER_COOKIE) ?? newSecret();
    const id = await this.requests.open(asked, browser);
    setCookie(reply, this.settings, BROWSER_COOKIE, browser, REQUEST_LIFETIME_S);
    return id;
  }

  /** A page of ours that an EHR has opened: the EHR says who is there and for which patient, and then the way goes on as always. */
  private async goToEhr(
    request: FastifyRequest,
    reply: FastifyReply,
    form: ReturnType<typeof readForm>,
    asked: AuthorizationRequest,
  ): Promise<void> {
    const id = await this.open(request, reply, asked);
    const begun = await this.ehrs.begin(form['ehr'] ?? '', form['launch'], id, asked);
    await this.requests.change(id, begun.asked);
    reply.header('referrer-policy', 'no-referrer').redirect(begun.url, 303);
  }

  private async launched(launch: string, asked: Omit<AuthorizationRequest, 'launch'>, client: Client) {
    if (!readScopeList(asked.scope).words.includes('launch'))
      throw new OAuthError('invalid_scope', 'a launch needs the scope launch');
    const context = await this.launches.take(launch);
    if (!context || (context.clientId !== undefined && context.clientId !== client.id))
      throw new OAuthError('invalid_request', 'the launch is not known, was used, or is for another app');
    return context;
  }

  /** Runs what belongs to a request of this browser, and turns a refusal into its answer. */
  private async within(
    input: unknown,
    request: FastifyRequest,
    reply: FastifyReply,
    then: (id: string, asked: AuthorizationRequest, client: Client) => Promise<void> | void,
  ): Promise<void> {
    let found: AuthorizationRequest | null = null;
    try {
      const id = readForm(input)['request'] ?? '';
      const browser = readCookie(request, BROWSER_COOKIE);
      found = browser === null ? null : await this.requests.find(id, browser);
      const client = found && (await this.clients.find(found.clientId));
      if (!found || !client)
        throw new OAuthError(
          'invalid_request',
          'This page is too old, or was opened in another browser. Go back to the app and begin again.',
        );
      await then(id, found, client);
    } catch (error) {
      if (found && error instanceof OAuthError) this.refuse(reply, found, error);
      else this.fault(reply, error);
    }
  }

  private async answer(
    reply: FastifyReply,
    id: string,
    asked: AuthorizationRequest,
    session: Parameters<AuthorizationSteps['approve']>[2],
  ): Promise<void> {
    const code = await this.steps.approve(id, asked, session);
    if (code === null) throw new OAuthError('invalid_request', 'this request was answered already');
    this.leave(reply, asked, { code });
  }

  /** RFC 6749 4.1.2.1: refusals go back to the app, by an address that was checked. */
  private refuse(reply: FastifyReply, asked: { redirectUri: string; state?: string }, error: unknown): void {
    if (!(error instanceof OAuthError)) throw error;
    this.leave(reply, asked, { error: error.error, error_description: error.description });
  }

  private leave(
    reply: FastifyReply,
    { redirectUri, state }: { redirectUri: string; state?: string },
    parameters: Readonly<Record<string, string>>,
  ): void {
    const query = new URLSearchParams({
      ...parameters,
      ...(state === undefined ? {} : { state }),
      // RFC 9207: an app that knows several servers can tell who answered.
      iss: this.settings.baseUrl,
    });
    const to = `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${query}`;
    reply.headers({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' }).redirect(to, 303);
  }

  private goTo(reply: FastifyReply, id: string): void {
    reply.redirect(`${this.settings.baseUrl}/auth/continue?request=${id}`, 303);
  }

  private fault(reply: FastifyReply, error: unknown): void {
    if (!(error instanceof OAuthError)) throw error;
    reply
      .status(error.status === 413 ? 413 : 400)
      .headers(pageHeaders(this.settings.FRAME_ANCESTORS))
      .send(faultPage(error.description));
  }
}
