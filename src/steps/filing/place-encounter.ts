import type { Encounter, Reference } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { idOf, type Kept, type OpenRecord } from './open-record.ts';
import { isOfAnother } from './place-patient.ts';
import { type Said, takeSaid } from './take-said.ts';

type Subject = Reference & { reference: string };

/**
 * The visit with the first number of those that a message gives; null where there is none. Undefined, with a flag, where several have it: an account (PID-18) may go over
 * many visits, and without PV1-19 nobody can say which. What the message says besides is none the worse.
 */
export function findVisit(record: OpenRecord, { identifier }: Encounter): Kept<Encounter> | null | undefined {
  const number = identifier![0]!;
  const found = record.withNumber<Encounter>('Encounter', number);
  const own = found.find((one) => one.id === idOf('Encounter', number));
  if (own || found.length < 2) return own ?? found[0] ?? null;
  record.flags.push('visit-unclear');
  return undefined;
}

/** The visit an order or a result belongs to. Undefined, with a flag, where the number is that of another patient's visit, or of several: the order itself is none the worse. */
export async function placeVisitOf(
  record: OpenRecord,
  said: Said<Encounter>,
  subject: Subject,
): Promise<{ reference: string } | undefined> {
  const there = findVisit(record, said.resource);
  if (there === undefined) return undefined;
  if (await isOfAnother(record, there, subject)) {
    record.flags.push('visit-of-other-patient');
    return undefined;
  }
  return putVisit(record, said, there, { subject, status: 'silent' });
}

interface VisitPlace {
  readonly subject: Subject;
  /** The message `says` it, or is `silent` on it: then a known visit keeps the one it has, unless it is over. */
  readonly status: 'says' | 'silent';
}

/** Finds the visit by its number, or makes it; leaves it where it is unclear which. Throws `order.other-patient`. */
export async function placeEncounter(
  record: OpenRecord,
  said: Said<Encounter>,
  place: VisitPlace,
): Promise<void> {
  const there = findVisit(record, said.resource);
  if (there === undefined) return;
  const { subject } = place;
  if (await isOfAnother(record, there, subject)) {
    throw new Failure(
      'order.other-patient',
      'The visit with this number is of another patient; send a correction of that visit first.',
      { issues: [{ at: 'PV1^1^19', text: 'is the number of a visit of another patient' }] },
    );
  }
  putVisit(record, said, there, place);
}

/** Gives the reference to it. */
function putVisit(
  record: OpenRecord,
  { resource: incoming, deleted }: Said<Encounter>,
  there: Kept<Encounter> | null,
  { subject, status }: VisitPlace,
): { reference: string } {
  const number = incoming.identifier![0]!;
  // PV1-2 left empty (U stands for it, for FHIR needs a class) says nothing of a visit that is known.
  const isSilentOnStatus = status === 'silent' && incoming.status !== 'finished';
  const silent = [...(incoming.class.code === 'U' ? ['class'] : []), ...(isSilentOnStatus ? ['status'] : [])];
  const resource = { ...incoming, subject } as Encounter;
  const taken = takeSaid(record, there, { resource, deleted }, idOf('Encounter', number), { silent });
  if (taken.isWithheld) record.flags.push('older-visit');
  const { period, ...visit } = taken.resource;
  record.put({ ...visit, ...periodOf(period, visit.status) });
  return { reference: `Encounter/${visit.id}` };
}

/** A visit that goes on (a discharge taken back) has no end. */
function periodOf(period: Encounter['period'], status: Encounter['status']): Pick<Encounter, 'period'> {
  const { end, ...begun } = period ?? {};
  const goesOn = status === 'planned' || status === 'in-progress';
  const stay = { ...begun, ...(end !== undefined && !goesOn ? { end } : {}) };
  return Object.keys(stay).length > 0 ? { period: stay } : {};
}
