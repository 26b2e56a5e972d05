import type { Encounter, Reference } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { idOf, type OpenRecord } from './open-record.ts';
import { isOfAnother } from './place-patient.ts';
import { type Said, takeSaid } from './take-said.ts';

type Subject = Reference & { reference: string };

/** The visit an order or a result belongs to. Undefined, with a flag, where the number is that of another patient's visit: the order itself is none the worse. */
export async function placeVisitOf(
  record: OpenRecord,
  said: Said<Encounter>,
  subject: Subject,
): Promise<{ reference: string } | undefined> {
  const there = record.find<Encounter>('Encounter', said.resource.identifier!.slice(0, 1));
  if (await isOfAnother(record, there, subject)) {
    record.flags.push('visit-of-other-patient');
    return undefined;
  }
  return placeEncounter(record, said, subject, 'silent');
}

/**
 * Finds the visit by its number, or makes it, and gives the reference to it. `status`: the message `says` it, or is `silent` on it: then a
 * known visit keeps the one it has, unless it is over. Throws `order.other-patient`.
 */
export async function placeEncounter(
  record: OpenRecord,
  { resource: incoming, deleted }: Said<Encounter>,
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
