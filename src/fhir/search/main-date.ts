import type { IndexRows } from './index-rows.ts';

/**
 * The date by which resources of a type are mostly sorted, by its search parameter; it lies in the row itself (`resource.main_date`), so that
 * sorting needs no look-up per row. Only elements that stand once and have one begin: of several the smallest or the greatest would
 * count, by the direction.
 */
const MAIN_DATES: Readonly<Record<string, string>> = {
  Appointment: 'date',
  AuditEvent: 'date',
  Communication: 'sent',
  CommunicationRequest: 'authored',
  Consent: 'date',
  DiagnosticReport: 'date',
  DocumentReference: 'date',
  Encounter: 'date',
  ImagingStudy: 'started',
  Media: 'created',
  Observation: 'date',
  Procedure: 'date',
  Provenance: 'recorded',
  ServiceRequest: 'authored',
  Task: 'authored-on',
};

export const MAIN_DATE_TYPES: readonly string[] = Object.keys(MAIN_DATES);

export const isMainDate = (type: string, code: string): boolean =>
  Object.hasOwn(MAIN_DATES, type) && MAIN_DATES[type] === code;

/** The begin of the main date, as in `search_date.lo`; null when the resource has none, or its type. */
export function mainDateOf(type: string, { dates }: Pick<IndexRows, 'dates'>): string | null {
  if (!Object.hasOwn(MAIN_DATES, type)) return null;
  return dates.find(({ param }) => param === MAIN_DATES[type])?.lo ?? null;
}
