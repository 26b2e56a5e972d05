import type { Encounter, Reference } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { idOf, mergeInto, type OpenRecord } from './open-record.ts';
import { isOfAnother } from './place-patient.ts';

type Subject = Reference & { reference: string };

/** The visit an order or a result belongs to. Undefined, with a flag, where the number is that of another patient's visit: the order itself is none the worse. */
export async function placeVisitOf(
  record: OpenRecord,
  incoming: Encounter,
  subject: Subject,
): Promise<{ reference: string } | undefined> {
  const there = record.find<Encounter>('Encounter', incoming.identifier!.slice(0, 1));
  if (await isOfAnother(record, there, subject)) {
    record.flags.push('visit-of-other-patient');
    return undefined;
  }
  return placeEncounter(record, incoming, subject, 'silent');
}

/**
 * Finds the visit by its number, or makes it, and gives the reference to it. `status`: the message `says` it, or is `silent` on it: then a
 * known visit keeps the one it has, unless it is over. Throws `order.other-patient`.
 */
export async function placeEncounter(
  record: OpenRecord,
  incoming: Encounter,
  subject: Subject,
  status: 'says' | 'silent',
): Promise<{ reference: string }> {
  const number = incoming.identifier![0]!;
  const there = record.find<Encounter>('Encounter', [number]);
  if (await isOfAnother(record, there, subject)) {
    throw new Failure(
      'order.other-patient',
      'The visit with this number is of another patient; send a correction of that visit first.',
      { issues: [{ at: 'PV1^1^19', text: 'is the number of a visit of another patient' }] },
    );
  }
  const visit = mergeInto(there, { ...incoming, subject } as Encounter, idOf('Encounter', number));
  const keeps = there !== null && status === 'silent' && incoming.status !== 'finished';
  record.put(keeps ? { ...visit, status: there.status } : visit);
  return { reference: `Encounter/${visit.id}` };
}
