import type { Consent } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { OptOut } from '../consent.store.ts';

/**
 * Whether a Consent opts its patient out of disclosure (R4 consent.html): active, about privacy, its base rule `deny`. Exceptions inside it (`provision.provision`,
 * actors, purposes, classes of data) are not read: such a Consent hides everything from those who do not treat the patient, which errs on the patient's side.
 *
 * @throws Failure `fhir.unsupported` when it denies but names no Patient of this server
 */
export function consentToOptOut(consent: Consent, base: string): OptOut | null {
  const isPrivacy = consent.scope?.coding?.some(({ code }) => code === 'patient-privacy') === true;
  if (consent.status !== 'active' || !isPrivacy || consent.provision?.type !== 'deny') return null;
  const reference = consent.patient?.reference ?? '';
  const relative = reference.startsWith(`${base}/`) ? reference.slice(base.length + 1) : reference;
  const patient = /^Patient\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/\d+)?$/.exec(relative)?.[1];
  if (!patient)
    throw new Failure(
      'fhir.unsupported',
      'A Consent that denies disclosure must name a Patient of this server.',
      {
        issues: [{ at: 'Consent.patient', text: 'must be a reference such as Patient/1' }],
      },
    );
  const { start, end } = consent.provision.period ?? {};
  return { consent: String(consent.id), patient, startsAt: beginOf(start), endsAt: endOf(end) };
}

/** A partial date begins with its first instant, UTC: hidden rather too early. */
const beginOf = (date: string | undefined): string | null => {
  if (date === undefined) return null;
  return new Date(
    date.length === 4 ? `${date}-01-01` : date.length === 7 ? `${date}-01` : date,
  ).toISOString();
};

/** A partial date ends after its last instant. */
function endOf(date: string | undefined): string | null {
  if (date === undefined) return null;
  if (date.includes('T')) return new Date(date).toISOString();
  const [year = 0, month, day] = date.split('-').map(Number);
  if (month === undefined) return new Date(Date.UTC(year + 1, 0, 1)).toISOString();
  return new Date(
    day === undefined ? Date.UTC(year, month, 1) : Date.UTC(year, month - 1, day + 1),
  ).toISOString();
}
