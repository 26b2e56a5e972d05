import type { Identifier, Patient, Reference } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { idOf, type Kept, type OpenRecord, severalHave } from './open-record.ts';
import { mrnOf } from './pid-to-patient.ts';
import { type Said, takeSaid } from './take-said.ts';

/**
 * Finds the patient of a message, or makes one, and gives the id. What the message says replaces, but for what a newer message said; what it does not say stays. A number
 * that was merged away leads to the survivor, whose data a message under the old number does not change.
 */
export async function placePatient(record: OpenRecord, said: Said<Patient>): Promise<string> {
  const mrn = mrnOf(said.resource);
  const found = await findPatient(record, [mrn]);
  if (found?.retired) {
    record.flags.push('patient-merged');
    return found.survivor.id;
  }
  const patient = takePatient(record, found?.survivor ?? null, said);
  record.put(patient);
  return patient.id;
}

/** What a message says of a patient who is known or not, over what is known of him. */
export function takePatient(
  record: OpenRecord,
  known: Kept<Patient> | null,
  said: Said<Patient>,
): Kept<Patient> {
  const { resource, isWithheld } = takeSaid(record, known, said, idOf('Patient', mrnOf(said.resource)));
  if (isWithheld) record.flags.push('older-demographics');
  return resource;
}

/** For messages whose PID is a copy: a patient who is known stays as he is, and to one who is not any other message says more, whenever it was sent. */
export async function placeKnownPatient(record: OpenRecord, incoming: Patient): Promise<string> {
  const mrn = mrnOf(incoming);
  const found = await findPatient(record, [mrn]);
  if (found) return found.survivor.id;
  const patient = { ...incoming, id: idOf('Patient', mrn) };
  record.put(patient);
  return patient.id;
}

export interface FoundPatient {
  /** Who has the number now. */
  readonly survivor: Kept<Patient>;
  /** The number is one that was merged away. */
  readonly retired: boolean;
}

/**
 * Who has one of the numbers, the first that is known deciding, merges followed to their end. Several patients with the number are one when
 * they were merged. Throws `fhir.multiple-matches` when they were not, or when merges go round in a circle.
 */
export async function findPatient(
  record: OpenRecord,
  numbers: readonly Identifier[],
): Promise<FoundPatient | null> {
  for (const number of numbers) {
    const holders = record.withNumber<Patient>('Patient', number);
    if (holders.length === 0) continue;
    // One who has the number as an old one is who took over; a patient of his own with it comes before him.
    const own = holders.filter((one) => !isOld(one, number));
    const ends = new Map<string, Kept<Patient>>();
    for (const one of own.length > 0 ? own : holders) {
      const end = await survivorOf(record, one);
      ends.set(end.id, end);
    }
    const made = ends.get(idOf('Patient', number));
    const [survivor] = made ? [made] : [...ends.values()];
    if (!survivor || (ends.size > 1 && !made)) throw severalHave('Patient');
    return { survivor, retired: isOld(survivor, number) || !holders.some((one) => one.id === survivor.id) };
  }
  return null;
}

/** Merges in a row that are followed; a chain longer than this is a circle. */
export const MERGE_CHAIN_MAX = 50;

/** Follows `replaced-by` to its end. */
export async function survivorOf(record: OpenRecord, patient: Kept<Patient>): Promise<Kept<Patient>> {
  let current = patient;
  for (let step = 0; step < MERGE_CHAIN_MAX; step += 1) {
    const id = replacedBy(current);
    const next = id === null ? null : await record.read<Patient>('Patient', id);
    if (next === null) return current;
    current = next;
  }
  throw new Failure(
    'fhir.multiple-matches',
    'The merges of this patient go round in a circle; mend the links first.',
  );
}

/**
 * Is a resource another patient's than the one a message is about? Not when its patient was merged into him and it was written too late
 * to move along.
 */
export async function isOfAnother(
  record: OpenRecord,
  there: { readonly subject?: Reference } | null | undefined,
  subject: Reference,
): Promise<boolean> {
  const reference = there?.subject?.reference;
  if (reference === undefined || reference === subject.reference) return false;
  const id = /(?:^|\/)Patient\/([^/]+)$/.exec(reference)?.[1];
  const patient = id === undefined ? null : await record.read<Patient>('Patient', id);
  return patient === null || `Patient/${(await survivorOf(record, patient)).id}` !== subject.reference;
}

export function replacedBy(patient: Patient): string | null {
  const link = patient.link?.find((one) => one.type === 'replaced-by')?.other.reference;
  return /(?:^|\/)Patient\/([^/]+)$/.exec(link ?? '')?.[1] ?? null;
}

const isOld = (patient: Patient, { system, value }: Identifier) =>
  patient.identifier?.find((one) => one.system === system && one.value === value)?.use === 'old';
