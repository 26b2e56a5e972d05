import { Inject, Injectable } from '@nestjs/common';
import { isPageClient } from './clients.ts';
import { EHRS } from './injection.ts';
import { OAuthError } from './oauth/oauth-error.ts';
import type { AuthorizationRequest, LaunchContext } from './oauth/request.store.ts';
import type { Ehr } from './outside/ehr.ts';
import { PatientPicker } from './people/patient-picker.ts';
import type { Person } from './people/session.store.ts';

/** Launches of our pages by EHRs that have an authorization server of their own. */
@Injectable()
export class EhrLaunches {
  constructor(
    @Inject(EHRS) private readonly ehrs: readonly Ehr[],
    @Inject(PatientPicker) private readonly patients: PatientPicker,
  ) {}

  /**
   * Where the browser goes, and the request as it is to be kept until it is back. An EHR that is not listed is asked nothing.
   *
   * @throws OAuthError, for the page
   */
  async begin(
    iss: string,
    launch: string | undefined,
    id: string,
    asked: AuthorizationRequest,
  ): Promise<{ url: string; asked: AuthorizationRequest }> {
    const ehr = this.find(iss);
    if (!ehr || !isPageClient(asked.clientId))
      throw new OAuthError('invalid_target', 'this server takes no launch of that EHR');
    if (launch === undefined) throw new OAuthError('invalid_request', 'launch is missing');
    try {
      const { url, underWay } = await ehr.begin(id, launch);
      return { url, asked: { ...asked, ehr: { ...underWay, iss: ehr.settings.iss } } };
    } catch {
      throw new OAuthError('temporarily_unavailable', 'the EHR does not say how it signs people in');
    }
  }

  /**
   * Who opened the page, and what that means here. `context` null: the patient that is open there is none of ours, or not certainly one, or not for this person.
   *
   * @throws Error for an answer that is not as it must be
   */
  async finish(
    asked: AuthorizationRequest,
    code: string,
    iss: string | undefined,
  ): Promise<{ person: Person; context: LaunchContext | null }> {
    const ehr = asked.ehr && this.find(asked.ehr.iss);
    if (!asked.ehr || !ehr) throw new Error('no such launch');
    const { person, patientNumber } = await ehr.finish(code, iss, asked.ehr);
    if (patientNumber === null) return { person, context: {} };
    const { patientSystemHere } = ehr.settings;
    const patient = await this.patients.byNumber(person, patientSystemHere, patientNumber, asked.clientId);
    return { person, context: patient === null ? null : { patient } };
  }

  private find(iss: string): Ehr | undefined {
    return this.ehrs.find(({ settings }) => settings.iss === iss.replace(/\/$/, ''));
  }
}
