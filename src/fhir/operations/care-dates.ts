import { parseFilter } from '../search/parse-filter.ts';
import type { Filter } from '../search/search-query.ts';

/**
 * When the care took place, by type: the date search parameter that says so. `start` and `end` of $everything are dates of care, not of
 * record keeping; types that have none (allergies, coverage, accounts, …) are always given.
 */
const CARE_DATES: Readonly<Record<string, string>> = {
  AdverseEvent: 'date',
  Appointment: 'date',
  CarePlan: 'date',
  CareTeam: 'date',
  ChargeItem: 'occurrence',
  ClinicalImpression: 'date',
  Communication: 'sent',
  CommunicationRequest: 'occurrence',
  Composition: 'date',
  Condition: 'onset-date',
  Consent: 'date',
  DiagnosticReport: 'date',
  DocumentManifest: 'created',
  DocumentReference: 'date',
  Encounter: 'date',
  EpisodeOfCare: 'date',
  Flag: 'date',
  Goal: 'start-date',
  ImagingStudy: 'started',
  Immunization: 'date',
  Media: 'created',
  MedicationAdministration: 'effective-time',
  MedicationDispense: 'whenhandedover',
  MedicationRequest: 'authoredon',
  MedicationStatement: 'effective',
  Observation: 'date',
  Procedure: 'date',
  QuestionnaireResponse: 'authored',
  RiskAssessment: 'date',
  ServiceRequest: 'occurrence',
  Specimen: 'collected',
  SupplyRequest: 'date',
  Task: 'period',
};

/** Filters that leave what took place from `start` to `end` (both included), and what says no date. Both may be partial dates. */
export function careDateFilters(type: string, start: string | null, end: string | null): Filter[] {
  const code = CARE_DATES[type];
  if (code === undefined) return [];
  return [start === null ? null : `ge${start}`, end === null ? null : `le${end}`].flatMap(
    (value): Filter[] => {
      const within = value === null ? null : parseFilter(type, code, value);
      const undated = parseFilter(type, `${code}:missing`, 'true');
      return within && undated ? [{ kind: 'any', of: [within, undated] }] : [];
    },
  );
}
