import type { Identifier, ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Message } from '../../hl7/codec.ts';
import type { AccessionPlaces } from './accession-places.ts';
import type { SenderContext } from './datatype-to-fhir.ts';
import type { FilingPlan } from './filing-plan.ts';
import { keysOf, type OpenRecord } from './open-record.ts';
import { type OrderResources, orderToResources } from './order-to-resources.ts';
import { mrnOf } from './pid-to-patient.ts';
import { placeVisitOf } from './place-encounter.ts';
import { placePatient } from './place-patient.ts';
import { lookupNumbers, placeRequest } from './place-request.ts';

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

async function placeOrder(
  record: OpenRecord,
  { patient, encounter, orders, deleted }: OrderResources,
): Promise<void> {
  const id = await placePatient(record, { resource: patient, deleted: deleted.patient });
  const subject = { reference: `Patient/${id}` };
  const visit =
    encounter && (await placeVisitOf(record, { resource: encounter, deleted: deleted.visit }, subject));
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
