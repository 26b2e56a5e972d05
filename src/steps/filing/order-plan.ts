import type { Identifier, ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Message } from '../../hl7/codec.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { AccessionPlaces } from './accession-places.ts';
import type { SenderContext } from './datatype-to-fhir.ts';
import type { FilingPlan } from './filing-plan.ts';
import { hasNumber, idOf, type Kept, keysOf, mergeInto, type OpenRecord } from './open-record.ts';
import { type OrderedRequest, type OrderResources, orderToResources } from './order-to-resources.ts';
import { mrnOf } from './pid-to-patient.ts';
import { placeVisitOf } from './place-encounter.ts';
import { isOfAnother, placePatient } from './place-patient.ts';
import { placeSupporting } from './place-supporting.ts';

/** ORM^O01, OMI^O23, OMG^O19 → patient, visit and one request for each ORC. */
export function orderPlan(
  messageType: string,
  message: Hl7Message,
  context: SenderContext,
  places: AccessionPlaces,
): FilingPlan {
  const order = orderToResources(message, context, places(message));
  const { patient, encounter, orders, flags } = order;
  const requests = orders.map(({ request }) => request);
  const numbers = requests.flatMap(lookupNumbers);
  return {
    messageType,
    mrn: mrnOf(patient).value ?? null,
    accession: accessionOf(requests),
    flags,
    keys: keysOf([patient, ...(encounter ? [encounter] : []), ...(requests as ServiceRequest[])]),
    alone: false,
    lookups: [
      ...of('Patient', [mrnOf(patient)]),
      ...of('Encounter', encounter?.identifier?.slice(0, 1) ?? []),
      ...of('ServiceRequest', numbers),
    ],
    place: (record) => placeOrder(record, order),
  };
}

export const of = (type: string, numbers: readonly Identifier[]) =>
  numbers.map(({ system = '', value = '' }) => ({ type, system, value }));

export function accessionOf(resources: readonly { identifier?: Identifier[] }[]): string | null {
  const all = resources.flatMap((one) => one.identifier ?? []);
  return all.find((one) => one.type?.coding?.[0]?.code === 'ACSN')?.value ?? null;
}

async function placeOrder(record: OpenRecord, { patient, encounter, orders }: OrderResources): Promise<void> {
  const subject = { reference: `Patient/${await placePatient(record, patient)}` };
  const visit = encounter && (await placeVisitOf(record, encounter, subject));
  const ids: string[] = [];
  for (const ordered of orders) {
    const replaces = ordered.replaces.map((at) => ({ reference: `ServiceRequest/${ids[at]}` }));
    const request = {
      ...ordered.request,
      subject,
      ...(visit ? { encounter: visit } : {}),
      ...(replaces.length > 0 ? { replaces } : {}),
    };
    ids.push(await placeRequest(record, request, ordered));
  }
}

/** Throws `order.other-patient`: a number that was used again, or typed wrongly, must not move an order to another patient. */
async function placeRequest(
  record: OpenRecord,
  incoming: ServiceRequest,
  { isNew, saysStatus, supporting }: OrderedRequest,
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
  const request = mergeInto(there, incoming, idOf('ServiceRequest', numbers[0]!));
  // An order that replaces itself (the old number sent twice) is the new one; what it replaced before stays so.
  const replaced = [...(there?.replaces ?? []), ...(incoming.replaces ?? [])].map((one) => one.reference);
  const others = [...new Set(replaced)].filter((one) => one !== `ServiceRequest/${request.id}`);
  const { replaces: _, ...rest } = request;
  const status = there && !saysStatus ? there.status : request.status;
  // ORC-9 of a change is when it was changed.
  const authoredOn = isNew ? request.authoredOn : (there?.authoredOn ?? request.authoredOn);
  record.put({
    ...rest,
    ...(rest.identifier ? { identifier: latestAccessionFirst(rest.identifier, incoming.identifier) } : {}),
    status,
    ...(authoredOn ? { authoredOn } : {}),
    ...(await placeSupporting(record, request, supporting)),
    ...(others.length > 0 ? { replaces: others.map((reference) => ({ reference })) } : {}),
  } as Kept<ServiceRequest>);
  return request.id;
}

/** An accession number that was corrected stays, so that images under it still find their order; but results go out under the first, which is the one that was said last. */
function latestAccessionFirst(all: readonly Identifier[], said: readonly Identifier[] = []): Identifier[] {
  const isAccession = (one: Identifier) => one.type?.coding?.[0]?.code === 'ACSN';
  const isSaid = (one: Identifier) => hasNumber({ identifier: [...said] }, one);
  const accessions = all.filter(isAccession);
  const ordered = [...accessions.filter(isSaid), ...accessions.filter((one) => !isSaid(one))];
  return all.map((one) => (isAccession(one) ? ordered.shift()! : one));
}

/** Placer and filler number name an order; accession number and study only where neither was sent. */
function lookupNumbers(request: Pick<ServiceRequest, 'identifier'>): Identifier[] {
  const all = request.identifier ?? [];
  const own = all.filter((one) => ['PLAC', 'FILL'].includes(one.type?.coding?.[0]?.code ?? ''));
  const study = all.filter(
    (one) => one.type?.coding?.[0]?.code === 'ACSN' || one.system === IDENTIFIER_SYSTEMS.dicomUid,
  );
  if (own.length > 0) return own;
  return study.length > 0 ? study : all;
}
