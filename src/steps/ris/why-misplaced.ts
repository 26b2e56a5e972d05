import type { ResourceStore } from '../../fhir/resource-store.ts';
import { orderNumbers } from './head-rows.ts';
import type { ToldMessage } from './outbound-message.store.ts';
import { type ReportRecord, wasMergedInto } from './read-record.ts';
import { WRONG_ORDER, WRONG_PATIENT } from './report-status.ts';

/**
 * Why what a receiver was told must not stay where it was told, as the first line of the message that takes it back: it stands under a patient who was not merged
 * into the one of today, or under an accession or placer number that the study has no more. Null: it may stay. A result without a number is found by our filler
 * number when an order comes late.
 */
export async function whyMisplaced(
  store: ResourceStore,
  told: Pick<ToldMessage, 'patientId' | 'result' | 'accession' | 'placer'>,
  { patientId, record }: { readonly patientId: string; readonly record: ReportRecord },
): Promise<string | null> {
  const moved = told.patientId !== '' && told.patientId !== patientId;
  if (moved && !(await wasMergedInto(store, told.patientId, patientId))) return WRONG_PATIENT;
  // It says already that it is none.
  if (told.result === 'X') return null;
  const now = orderNumbers(record);
  const isOther = (name: 'accession' | 'placer') => told[name] !== '' && told[name] !== now[name];
  return isOther('accession') || isOther('placer') ? WRONG_ORDER : null;
}
