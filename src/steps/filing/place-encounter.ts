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
  // PV1-2 left empty (U stands for it, for FHIR needs a class) says nothing of a visit that is known.
  const isSilentOnClass = there !== null && incoming.class.code === 'U';
  const said = { ...incoming, subject, ...(isSilentOnClass ? { class: there.class } : {}) } as Encounter;
  const merged = mergeInto(there, said, idOf('Encounter', number));
  const keeps = there !== null && status === 'silent' && incoming.status !== 'finished';
  const { period: _, ...visit } = keeps ? { ...merged, status: there.status } : merged;
  record.put({ ...visit, ...stayOf(there, incoming), ...periodOf(there, incoming, visit.status) });
  return { reference: `Encounter/${visit.id}` };
}

/** A discharge says where he went and not again where he came from. */
function stayOf(there: Encounter | null, { hospitalization }: Encounter): Pick<Encounter, 'hospitalization'> {
  return hospitalization ? { hospitalization: { ...there?.hospitalization, ...hospitalization } } : {};
}

/** A discharge says the end and not again the beginning. A visit that goes on (a discharge taken back) has no end. */
function periodOf(
  there: Encounter | null,
  incoming: Encounter,
  status: Encounter['status'],
): Pick<Encounter, 'period'> {
  const { end, ...begun } = { ...there?.period, ...incoming.period };
  const goesOn = status === 'planned' || status === 'in-progress';
  const period = { ...begun, ...(end !== undefined && !goesOn ? { end } : {}) };
  return Object.keys(period).length > 0 ? { period } : {};
}
