import type { ResourceStore } from '../../fhir/resource-store.ts';
import { orderNumbers } from './head-rows.ts';
import type { ToldMessage } from './outbound-message.store.ts';
import { type ReportRecord, wasMergedInto } from './read-record.ts';
import { WRONG_ORDER, WRONG_PATIENT } from './report-status.ts';

/**
 * Why what a receiver was told must not stay where it was told, as the first line of the message that takes it back: it stands under a patient who was not merged into the
 * one of today. Null: it may stay.
 */
export async function whyNotThisPatient(
  store: ResourceStore,
  told: Pick<ToldMessage, 'patientId'>,
  patientId: string,
): Promise<string | null> {
  const isOther = told.patientId !== '' && told.patientId !== patientId;
  return isOther && !(await wasMergedInto(store, told.patientId, patientId)) ? WRONG_PATIENT : null;
}

/** The same, of an accession or placer number that the study has no more. A result without a number is found by our filler number when an order comes late. */
export function whyNotTheseNumbers(
  told: Pick<ToldMessage, 'accession' | 'placer'>,
  record: ReportRecord,
): string | null {
  const now = orderNumbers(record);
  const isOther = (name: 'accession' | 'placer') => told[name] !== '' && told[name] !== now[name];
  return isOther('accession') || isOther('placer') ? WRONG_ORDER : null;
}
