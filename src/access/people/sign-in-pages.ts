import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import type { Client } from '../client.ts';
import { OPEN_ID } from '../injection.ts';
import type { Form } from '../oauth/authenticate-client.ts';
import type { Step } from '../oauth/authorization-steps.ts';
import type { AuthorizationRequest } from '../oauth/request.store.ts';
import type { OpenIdProvider } from '../outside/open-id-provider.ts';
import { consentPage, patientPage, signInPage } from '../pages/auth-pages.ts';
import { pageHeaders } from '../pages/page-headers.ts';
import { sayRights } from '../pages/say-rights.ts';
import { AccountStore } from './account.store.ts';
import { readCookie, SESSION_COOKIE, setCookie } from './cookies.ts';
import { PatientPicker } from './patient-picker.ts';
import { type Person, SESSION_LIFETIME_S, type Session, SessionStore } from './session.store.ts';

export interface Shown {
  readonly id: string;
  readonly asked: AuthorizationRequest;
  readonly client: Client;
  readonly session: Session | null;
  readonly step: Step;
  /** What the address says: `name` of a patient that is looked for. */
  readonly form: Form;
  readonly failed?: boolean;
}

/** Sessions of people in their browsers, and the page that each step of a request shows. */
@Injectable()
export class SignInPages {
  constructor(
    @Inject(SessionStore) private readonly sessions: SessionStore,
    @Inject(AccountStore) private readonly accounts: AccountStore,
    @Inject(PatientPicker) private readonly patients: PatientPicker,
    @Inject(OPEN_ID) private readonly provider: OpenIdProvider | null,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  async session(request: FastifyRequest): Promise<Session | null> {
    const secret = readCookie(request, SESSION_COOKIE);
    return secret === null ? null : this.sessions.find(secret);
  }

  /** The person of a local account; null: name and password do not fit. */
  async signIn(reply: FastifyReply, name: string, password: string): Promise<Person | null> {
    const account = await this.accounts.signIn(name, password);
    if (!account) return null;
    const person: Person = {
      subject: `local:${account.name}`,
      ...(account.fhirUser === undefined ? {} : { fhirUser: account.fhirUser }),
      roles: account.roles,
      account: account.name,
      authTimeS: Math.floor(Date.now() / 1_000),
    };
    await this.open(reply, person);
    return person;
  }

  /** Is there an account of this name? What is none may be a password in the wrong field, and is written down nowhere. */
  isAccount(name: string): Promise<boolean> {
    return this.accounts.isActive(name.toLowerCase());
  }

  async open(reply: FastifyReply, person: Person): Promise<void> {
    setCookie(reply, this.settings, SESSION_COOKIE, await this.sessions.open(person), SESSION_LIFETIME_S);
  }

  /** Gives the session that was ended, so that what hangs on it can end too. */
  async close(request: FastifyRequest, reply: FastifyReply): ReturnType<SessionStore['close']> {
    const secret = readCookie(request, SESSION_COOKIE);
    setCookie(reply, this.settings, SESSION_COOKIE, '', 0);
    return secret === null ? null : this.sessions.close(secret);
  }

  async show(reply: FastifyReply, shown: Shown): Promise<void> {
    reply
      .status(shown.failed ? 401 : 200)
      .headers(pageHeaders(this.settings.FRAME_ANCESTORS, shown.asked.redirectUri))
      .send(await this.pageOf(shown));
  }

  private async pageOf({ id, client, session, step, form, failed }: Shown): Promise<string> {
    const of = { request: id, app: client.name };
    if (step.kind === 'sign-in' || session === null)
      return signInPage({ ...of, failed: failed ?? false, provider: this.provider?.settings.name ?? null });
    if (step.kind === 'patient') {
      const { name } = form;
      return patientPage({
        ...of,
        name: name ?? '',
        found: name === undefined ? null : await this.patients.find(session, name, client.id),
      });
    }
    const patient = step.kind === 'consent' ? step.patient : null;
    return consentPage({
      ...of,
      person: session.account ?? session.fhirUser ?? 'who signed in',
      patient: patient === null ? null : await this.patients.nameOf(session, patient, client.id),
      rights: step.kind === 'consent' ? sayRights(step.scope) : [],
    });
  }
}
