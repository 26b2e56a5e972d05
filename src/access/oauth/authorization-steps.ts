import { Inject, Injectable } from '@nestjs/common';
import type { Client } from '../client.ts';
import { PatientPicker } from '../people/patient-picker.ts';
import type { Session } from '../people/session.store.ts';
import { listText } from './give-tokens.ts';
import { GrantsStore } from './grants.store.ts';
import { OAuthError } from './oauth-error.ts';
import { wantsPatient } from './read-authorization.ts';
import { type AuthorizationRequest, RequestStore } from './request.store.ts';
import { readScopeList } from './scope-words.ts';

/** An approval for longer than a session: until it is used no more for so long, it is asked for again anyway. */
export const OFFLINE_LIFETIME_S = 30 * 86_400;

/** What must happen next before the app gets its code. */
export type Step =
  | { readonly kind: 'sign-in' }
  | { readonly kind: 'patient' }
  | { readonly kind: 'consent'; readonly scope: string; readonly patient: string | null }
  | { readonly kind: 'answer' };

/** The way of one authorization request: sign in, choose a patient where one is needed, approve, and then the code. */
@Injectable()
export class AuthorizationSteps {
  constructor(
    @Inject(RequestStore) private readonly requests: RequestStore,
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(PatientPicker) private readonly patients: PatientPicker,
  ) {}

  /** @throws OAuthError, for the app: what was launched is not for this person, or nobody may be asked */
  async next(request: AuthorizationRequest, client: Client, session: Session | null): Promise<Step> {
    if (session === null || mustSignInAgain(request, session)) {
      if (request.prompt === 'none') throw new OAuthError('login_required', 'nobody is signed in');
      return { kind: 'sign-in' };
    }
    const { launch } = request;
    if (launch?.fhirUser !== undefined && launch.fhirUser !== session.fhirUser)
      throw new OAuthError('access_denied', 'the launch is for another person than the one who is signed in');
    const patient = patientOf(request, session);
    if (patient === null && needsPatient(request)) {
      if (request.prompt === 'none') throw new OAuthError('interaction_required', 'a patient must be chosen');
      return { kind: 'patient' };
    }
    if (patient !== null && !(await this.patients.maySee(session, patient)))
      throw new OAuthError('access_denied', 'the person who is signed in may not see this patient');
    if (client.isPreapproved) return { kind: 'answer' };
    if (request.prompt === 'none') throw new OAuthError('interaction_required', 'the app must be approved');
    return { kind: 'consent', scope: request.scope, patient };
  }

  /** The code for the app. Everything that had to happen must have happened. Null: somebody was quicker with the same request. */
  async approve(id: string, request: AuthorizationRequest, session: Session): Promise<string | null> {
    if (!(await this.requests.close(id))) return null;
    const patient = patientOf(request, session);
    const encounter = request.launch?.encounter;
    const list = readScopeList(request.scope);
    const words = list.words.filter(
      (word) => (word !== 'launch' || request.launch !== undefined) && word !== 'launch/encounter',
    );
    const isOffline = words.includes('offline_access');
    const untilSessionEndsS = Math.max(1, session.endsAtS - Math.floor(Date.now() / 1_000));
    return this.grants.approve(
      {
        content: {
          clientId: request.clientId,
          subject: session.subject,
          scope: listText(words, list.resources),
          ...(patient === null ? {} : { patient }),
          ...(encounter === undefined ? {} : { encounter }),
          ...(session.fhirUser === undefined ? {} : { fhirUser: session.fhirUser }),
          roles: session.roles,
        },
        ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
        authTimeS: session.authTimeS,
        ...(session.account === undefined ? {} : { account: session.account }),
        ...(isOffline ? {} : { session: session.id }),
      },
      { redirectUri: request.redirectUri, challenge: request.challenge },
      isOffline ? OFFLINE_LIFETIME_S : untilSessionEndsS,
    );
  }
}

/** OpenID Connect Core 3.1.2.1, `prompt=login` and `max_age`. */
function mustSignInAgain(
  { prompt, maxAgeS, signedInAgain }: AuthorizationRequest,
  session: Session,
): boolean {
  if (signedInAgain === true) return false;
  const ageS = Date.now() / 1_000 - session.authTimeS;
  return prompt === 'login' || (maxAgeS !== undefined && ageS > maxAgeS);
}

/** The patient in context: of the EHR's launch, the person who is signed in, or the one that was chosen. */
function patientOf(request: AuthorizationRequest, session: Session): string | null {
  const { launch } = request;
  if (launch?.patient !== undefined) return launch.patient;
  if (!needsPatient(request)) return null;
  const [, own] = /^Patient\/(.+)$/.exec(session.fhirUser ?? '') ?? [];
  return own ?? request.patient ?? null;
}

function needsPatient(request: AuthorizationRequest): boolean {
  const { words, resources } = readScopeList(request.scope);
  return wantsPatient(words, resources);
}
