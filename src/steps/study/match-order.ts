import type { Identifier, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';

/** Why a study has no order. Each is a code on the ImagingStudy and a sentence in its note. */
export const UNMATCHED_REASONS = {
  'no-accession-number': 'The study has no accession number, and no order names its Study Instance UID.',
  'no-order': 'No order has the accession number or the Study Instance UID of this study.',
  'several-orders':
    'Several orders have the accession number of this study; one of them must be chosen by a person.',
  'order-withdrawn': 'The order with the accession number of this study was cancelled or entered in error.',
  'no-patient-id':
    'An order has the accession number of this study, but the study has no patient id to compare.',
  'other-patient':
    'An order has the accession number of this study, but it is for a patient with another id, birth date or sex.',
} as const;

export type UnmatchedReason = keyof typeof UNMATCHED_REASONS;

/** What the study says of itself. */
export interface StudyKeys {
  readonly studyInstanceUid: string;
  readonly accession: Identifier | null;
  readonly patientIds: readonly Identifier[];
  /** FHIR date, of any precision; null when the images name none. */
  readonly birthDate: string | null;
  readonly gender: Patient['gender'] | null;
}

/** An order found by a number of the study, and its patient as stored now. */
export interface OrderCandidate {
  readonly order: ServiceRequest;
  readonly patient: Patient | null;
}

export type OrderMatch =
  | { readonly kind: 'matched'; readonly order: ServiceRequest; readonly patient: Patient }
  | { readonly kind: 'unmatched'; readonly reason: UnmatchedReason };

/**
 * Which order asked for this study: exactly one with its accession number (same issuer where both name one) or its Study
 * Instance UID, for a patient who has one of the study's patient ids and whose birth date and sex do not contradict those of the images.
 * Nothing is guessed: a number that is reused, or typed wrongly at the modality, must not put images into another patient's
 * record, and birth date and sex are no means to choose between two orders.
 */
export function matchOrder(study: StudyKeys, candidates: readonly OrderCandidate[]): OrderMatch {
  const meant = candidates.filter(({ order }) => namesStudy(order, study));
  const live = meant.filter(({ order }) => order.status !== 'entered-in-error' && order.status !== 'revoked');
  if (live.length === 0)
    return unmatched(
      meant.length > 0 ? 'order-withdrawn' : study.accession === null ? 'no-accession-number' : 'no-order',
    );
  const sameIdentity = live.filter(
    ({ patient }) => patient !== null && samePatient(patient, study.patientIds),
  );
  const [only] = sameIdentity;
  if (sameIdentity.length > 1) return unmatched('several-orders');
  if (only?.patient && contradicts(only.patient, study)) return unmatched('other-patient');
  if (only?.patient) return { kind: 'matched', order: only.order, patient: only.patient };
  return unmatched(study.patientIds.length === 0 ? 'no-patient-id' : 'other-patient');
}

function namesStudy(order: ServiceRequest, study: StudyKeys): boolean {
  return (order.identifier ?? []).some((identifier) => {
    if (identifier.system === IDENTIFIER_SYSTEMS.dicomUid)
      return identifier.value === `urn:oid:${study.studyInstanceUid}`;
    const typed = identifier.type?.coding?.map((coding) => coding.code) ?? [];
    // A placer or filler number may happen to be the same digits; only an accession number, or an untyped one, counts.
    return (
      study.accession !== null &&
      (typed.length === 0 || typed.includes('ACSN')) &&
      sameNumber(identifier, study.accession)
    );
  });
}

function samePatient(patient: Patient, ids: readonly Identifier[]): boolean {
  return (patient.identifier ?? []).some((known) => ids.some((id) => sameNumber(known, id)));
}

/** Are the images of this patient? One of the ids, and nothing that contradicts. */
export const isOfPatient = (patient: Patient, study: StudyKeys): boolean =>
  samePatient(patient, study.patientIds) && !contradicts(patient, study);

/**
 * Another birth date, as far as both are known, or M against F. `other` and `unknown` contradict nothing: senders write them for want of
 * anything better.
 */
function contradicts(patient: Patient, study: StudyKeys): boolean {
  const [shorter, longer] = [patient.birthDate ?? '', study.birthDate ?? ''].sort(
    (a, b) => a.length - b.length,
  );
  const sexes = [patient.gender, study.gender];
  return !longer!.startsWith(shorter!) || (sexes.includes('male') && sexes.includes('female'));
}

/** The same value, unless both say who gave the number and it is not the same authority. */
function sameNumber(a: Identifier, b: Identifier): boolean {
  if (!a.value || a.value.trim() !== b.value?.trim()) return false;
  return unnamed(a.system) || unnamed(b.system) || a.system === b.system;
}

/** A number whose sender named no authority. */
function unnamed(system: string | undefined): boolean {
  return (
    system === undefined ||
    system === STUDY_NUMBER_SYSTEMS.accession ||
    system.includes('/NamingSystem/hl7v2-from/')
  );
}

function unmatched(reason: UnmatchedReason): OrderMatch {
  return { kind: 'unmatched', reason };
}
