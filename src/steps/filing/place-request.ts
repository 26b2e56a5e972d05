import type { Identifier, ServiceRequest } from '@medplum/fhirtypes';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { type IsLate, isNotNewer, isOlder, isOlderChange } from './message-times.ts';
import { hasNumber, idOf, type Kept, type OpenRecord } from './open-record.ts';
import type { OrderedRequest } from './order-to-resources.ts';
import { isOfAnother } from './place-patient.ts';
import { placeSupporting } from './place-supporting.ts';
import { type Taken, takeSaid } from './take-said.ts';

/**
 * Finds the order by its numbers, or makes it, and gives the id. An older change does not undo a newer one, and an order that comes after its own cancellation fills in what
 * that did not say and stays cancelled. Throws `order.other-patient`: a number that was used again, or typed wrongly, must not move an order to another patient.
 */
export async function placeRequest(
  record: OpenRecord,
  incoming: ServiceRequest,
  ordered: OrderedRequest,
): Promise<string> {
  const numbers = lookupNumbers(incoming);
  const there = record.find<ServiceRequest>('ServiceRequest', numbers);
  if (await isOfAnother(record, there, incoming.subject)) {
    throw new Failure(
      'order.other-patient',
      'An order with this number is for another patient; send a correction of that order first.',
      { issues: [{ at: 'ORC^1^2', text: 'is the number of an order for another patient' }] },
    );
  }
  const taken = takeRequest(record, there, incoming, ordered, idOf('ServiceRequest', numbers[0]!));
  const { resource: request, late } = taken;
  record.flags.push(...flagsOf(record, there, taken, ordered));
  // An order that replaces itself (the old number sent twice) is the new one; what it replaced before stays so.
  const replaced = [...(there?.replaces ?? []), ...(incoming.replaces ?? [])].map((one) => one.reference);
  const others = [...new Set(replaced)].filter((one) => one !== `ServiceRequest/${request.id}`);
  const { replaces: _, identifier, ...rest } = request;
  // ORC-9 of a change is when it was changed.
  const authoredOn = request.authoredOn ?? incoming.authoredOn;
  const first = late.has(ACCESSION) ? (there?.identifier ?? []) : (incoming.identifier ?? []);
  const { diagnoses, results, leftOut } = ordered.supporting;
  const supporting = {
    diagnoses: late.has('reasonReference') ? [] : diagnoses,
    results: late.has('supportingInfo') ? [] : results,
    leftOut,
  };
  record.put({
    ...rest,
    ...(identifier ? { identifier: accessionFirst(identifier, first) } : {}),
    ...(authoredOn ? { authoredOn } : {}),
    ...(await placeSupporting(record, request, supporting)),
    ...(others.length > 0 ? { replaces: others.map((reference) => ({ reference })) } : {}),
  } as Kept<ServiceRequest>);
  return request.id;
}

/** What is said of an order: not its status, where the message is silent on it, and not when it was placed, where it is a change. */
function takeRequest(
  record: OpenRecord,
  there: Kept<ServiceRequest> | null,
  incoming: ServiceRequest,
  { isNew, saysStatus, supporting, deleted, event }: OrderedRequest,
  newId: string,
): Taken<ServiceRequest> {
  const silent = [...(saysStatus ? [] : ['status']), ...(isNew ? [] : ['authoredOn'])];
  const { replaces: _, ...resource } = incoming;
  const also = [
    ...(supporting.diagnoses.length > 0 ? ['reasonReference'] : []),
    ...(supporting.results.length > 0 ? ['supportingInfo'] : []),
    ...(incoming.identifier?.some(isAccession) ? [ACCESSION] : []),
  ];
  const isLate = latenessOf(record, there, isNew);
  const taken = takeSaid(record, there, { resource, deleted }, newId, { event, isLate, silent, also });
  // As long as no order was taken over, one that comes is the order of the changes before it.
  if (isNew && !taken.late.has('status'))
    record.tell(taken.resource, [PLACED], record.moment(event ?? undefined));
  return taken;
}

function latenessOf(record: OpenRecord, there: Kept<ServiceRequest> | null, isNew: boolean): IsLate {
  if (!isNew) return isOlderChange;
  return isKnownByChanges(record, there) ? isNotNewer : isOlder;
}

/** Some message was about it, and none of them placed it. */
function isKnownByChanges(record: OpenRecord, there: Kept<ServiceRequest> | null): boolean {
  const told = there === null ? undefined : record.toldBefore(there);
  return told !== undefined && !told.has(PLACED);
}

function flagsOf(
  record: OpenRecord,
  there: Kept<ServiceRequest> | null,
  { resource, isWithheld, late }: Taken<ServiceRequest>,
  { isNew, isReplaced }: OrderedRequest,
): string[] {
  if (there === null) return !isNew && !isReplaced && STOPPED.has(resource.status) ? ['stopped-unknown'] : [];
  const isLate = isWithheld || late.has('reasonReference') || late.has('supportingInfo');
  // In one message it is the replacement of an order by itself.
  const isAgain = isNew && ENDED.has(there.status) && resource.status === 'active' && !record.hasPut(there);
  return [
    ...(isLate ? [isNew && isKnownByChanges(record, there) ? 'order-came-late' : 'older-order'] : []),
    ...(isAgain ? ['ordered-again'] : []),
  ];
}

/** That the order was placed, beside its elements; and which accession number it has now. */
const PLACED = 'placed';
const ACCESSION = 'accession';
const STOPPED: ReadonlySet<ServiceRequest['status']> = new Set(['revoked', 'on-hold']);
const ENDED: ReadonlySet<ServiceRequest['status']> = new Set([...STOPPED, 'completed', 'entered-in-error']);

const isAccession = (one: Identifier) => one.type?.coding?.[0]?.code === 'ACSN';

/** An accession number that was corrected stays, so that images under it still find their order; but results go out under the first, which is the one that was said last. */
function accessionFirst(all: readonly Identifier[], said: readonly Identifier[]): Identifier[] {
  const isSaid = (one: Identifier) => hasNumber({ identifier: [...said] }, one);
  const accessions = all.filter(isAccession);
  const ordered = [...accessions.filter(isSaid), ...accessions.filter((one) => !isSaid(one))];
  return all.map((one) => (isAccession(one) ? ordered.shift()! : one));
}

/** Placer and filler number name an order; accession number and study only where neither was sent. */
export function lookupNumbers(request: Pick<ServiceRequest, 'identifier'>): Identifier[] {
  const all = request.identifier ?? [];
  const own = all.filter((one) => ['PLAC', 'FILL'].includes(one.type?.coding?.[0]?.code ?? ''));
  const study = all.filter((one) => isAccession(one) || one.system === IDENTIFIER_SYSTEMS.dicomUid);
  if (own.length > 0) return own;
  return study.length > 0 ? study : all;
}
