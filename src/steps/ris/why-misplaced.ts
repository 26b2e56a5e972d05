import type { ResourceStore } from '../../fhir/resource-store.ts';
import { orderNumbers } from './head-rows.ts';
import type { ToldMessage } from './outbound-message.store.ts';
import type { RisProfile } from './profile-settings.ts';
import { type ReportRecord, wasMergedInto } from './read-record.ts';
import { WRONG_ORDER, WRONG_PATIENT } from './report-status.ts';
import { headOfOru } from './report-to-oru.ts';

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
function whyNotTheseNumbers(
  told: Pick<ToldMessage, 'accession' | 'placer'>,
  record: ReportRecord,
): string | null {
  const now = orderNumbers(record);
  const isOther = (name: 'accession' | 'placer') => told[name] !== '' && told[name] !== now[name];
  return isOther('accession') || isOther('placer') ? WRONG_ORDER : null;
}

/**
 * The same, of the filler number in OBR-3, where the profile puts one there that can change: receivers replace by it, so that the result before would stay beside the new one
 * for ever. A message whose bytes retention has dropped says it no more.
 */
function whyNotThisFiller(
  told: Pick<ToldMessage, 'raw'>,
  record: ReportRecord,
  profile: RisProfile,
): string | null {
  const before = fillerIn(told.raw);
  const now = fillerIn(headOfOru({ ...record, profile, controlId: '', now: new Date() }));
  return before !== '' && now !== '' && before !== now ? WRONG_ORDER : null;
}

/** First component of OBR-3, as it is written. */
function fillerIn(raw: Buffer): string {
  const start = raw.indexOf('\rOBR|');
  if (start < 0) return '';
  const end = raw.indexOf('\r', start + 1);
  const line = raw.toString('latin1', start + 1, end < 0 ? raw.length : end);
  return line.split('|')[3]?.split('^')[0] ?? '';
}

/** One of the three, of a record that makes a message. Throws `ris.not-sendable` for another. */
export const whyMisplaced = async (
  store: ResourceStore,
  told: ToldMessage,
  patientId: string,
  { record, profile }: { readonly record: ReportRecord; readonly profile: RisProfile },
): Promise<string | null> =>
  (await whyNotThisPatient(store, told, patientId)) ??
  whyNotTheseNumbers(told, record) ??
  whyNotThisFiller(told, record, profile);
