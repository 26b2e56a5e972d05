import type { CodeableConcept, Encounter, Patient, ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Place } from './accession-places.ts';
import { cweToConcept, mapRepetitions, plain, type SenderContext } from './datatype-to-fhir.ts';
import { type OrderControl, orderControl } from './order-control.ts';
import { isPriorResult, type OrderGroup, orderGroups, segmentsOf } from './order-groups.ts';
import { groupNumber, orderNumbers } from './order-numbers.ts';
import { pidOf, pidToPatient } from './pid-to-patient.ts';
import { pv1ToEncounter } from './pv1-to-encounter.ts';

/** What an order message says, as resources without ids: who is meant is in their identifiers. */
export interface OrderResources {
  readonly patient: Patient;
  readonly encounter?: Encounter;
  /** One per ORC, in message order. */
  readonly orders: readonly OrderedRequest[];
  /** What looked odd and was got over; fixed words, no patient data. */
  readonly flags: readonly OrderFlag[];
}

export interface OrderedRequest {
  /** `subject` is filled in where the patient's id is known. */
  readonly request: Omit<ServiceRequest, 'subject'>;
  /** False: a known order keeps its status. */
  readonly saysStatus: boolean;
  /** Places in `orders` of those that this one replaces. */
  readonly replaces: readonly number[];
}

export type OrderFlag =
  | 'two-placer-numbers'
  | 'two-filler-numbers'
  | 'prior-results'
  | 'birth-date-unreadable'
  | 'visit-without-number';

/**
 * ORM^O01, OMI^O23 or OMG^O19 → resources (v2-to-FHIR segment maps; for IPC and ZDS, which have none, see `order-numbers.ts`).
 * Throws `hl7.missing` or `hl7.value`.
 */
export function orderToResources(
  message: Hl7Message,
  context: SenderContext,
  places: readonly Place[],
): OrderResources {
  const pid = pidOf(message);
  const patient = pidToPatient(pid, context);
  const encounter = pv1ToEncounter(message.segment('PV1'), pid, context);
  const orders: OrderedRequest[] = [];
  let replaced: number[] = [];
  for (const [at, group] of orderGroups(message).entries()) {
    const control = orderControl(group.orc);
    const request = orderToRequest(group, message, context, places, control);
    orders.push({ request, saysStatus: control.saysStatus, replaces: control.replaces ? replaced : [] });
    // Several may be replaced by several: RP RP RO RO.
    if (control.isReplaced) replaced = orders.at(at - 1)?.replaces.length ? [at] : [...replaced, at];
    else if (!control.replaces) replaced = [];
  }
  const flags = flagsOf(message, pid, patient, encounter, orders);
  return { patient, ...(encounter ? { encounter } : {}), orders, flags };
}

/** ORC, OBR and what follows → one ServiceRequest. */
function orderToRequest(
  group: OrderGroup,
  message: Hl7Message,
  context: SenderContext,
  places: readonly Place[],
  { status }: OrderControl,
): Omit<ServiceRequest, 'subject'> {
  const { orc, obr } = group;
  const identifier = orderNumbers(group, message, context, places);
  if (identifier.length === 0)
    throw missing('ORC^1^2', 'An order has no number: send ORC-2, ORC-3 or an accession number.');
  const requisition = groupNumber(group, context);
  const requester = xcnToReference(orc.repetitions(12)[0] ?? obr?.repetitions(16)[0], context.facility);
  const time = (text: string | undefined) => timestampToDateTime(plain(text), context.timeZone);
  const authoredOn = time(orc.get(9));
  const occurrence =
    time(obr?.get(6)) ??
    time(segmentsOf(group, 'TQ1')[0]?.get(7)) ??
    time(obr?.get(27, 4)) ??
    time(orc.get(7, 4));
  const code = cweToConcept(obr?.repetitions(4)[0]);
  const priority = priorityOf(group);
  const reasonCode = mapRepetitions(obr, 31, cweToConcept);
  const orderDetail = detailsOf(group);
  const note = notesOf(group);
  const statusReason = cweToConcept(orc.repetitions(16)[0]);
  return {
    resourceType: 'ServiceRequest',
    ...(statusReason ? { extension: [{ url: STATUS_REASON, valueCodeableConcept: statusReason }] } : {}),
    identifier,
    ...(requisition ? { requisition } : {}),
    status,
    intent: 'order',
    category: [{ coding: [{ system: CODE_SYSTEMS.sct, code: '363679005', display: 'Imaging' }] }],
    ...(priority ? { priority } : {}),
    ...(code ? { code } : {}),
    ...(orderDetail.length > 0 ? { orderDetail } : {}),
    ...(occurrence ? { occurrenceDateTime: occurrence } : {}),
    ...(authoredOn ? { authoredOn } : {}),
    ...(requester ? { requester: requester as NonNullable<ServiceRequest['requester']> } : {}),
    ...(reasonCode.length > 0 ? { reasonCode } : {}),
    ...(note.length > 0 ? { note } : {}),
  };
}

/** ORC-16: why it was cancelled, held or changed. */
const STATUS_REASON = 'http://hl7.org/fhir/StructureDefinition/request-statusReason';

/** OBR-13, what the one who reads should know of the patient, and the notes. */
function notesOf(group: OrderGroup): { text: string }[] {
  const texts = (segment: Hl7Segment | undefined, field: number) =>
    (segment?.repetitions(field) ?? []).map((one) => plain(one.text(1))).join('\n');
  const all = [texts(group.obr, 13), ...segmentsOf(group, 'NTE').map((nte) => texts(nte, 3))];
  return all.filter((text) => text !== '').map((text) => ({ text }));
}

/** Modality and protocol of the IPC; the parts OBR-46 and OBR-47 add to the code. */
function detailsOf({ obr, segments }: OrderGroup): CodeableConcept[] {
  const ipc = segments.filter((segment) => segment.name === 'IPC');
  return [
    ...ipc.flatMap((one) => [
      ...mapRepetitions(one, 5, cweToConcept),
      ...mapRepetitions(one, 6, cweToConcept),
    ]),
    ...mapRepetitions(obr, 46, cweToConcept),
    ...mapRepetitions(obr, 47, cweToConcept),
  ];
}

function priorityOf({ orc, obr, segments }: OrderGroup): ServiceRequest['priority'] | undefined {
  const tq1 = segments.find((segment) => segment.name === 'TQ1');
  const texts = [tq1?.get(9), obr?.get(5), obr?.get(27, 6), orc.get(7, 6)];
  return texts.map((text) => PRIORITIES[plain(text).toUpperCase()]).find((one) => one !== undefined);
}

function flagsOf(
  message: Hl7Message,
  pid: Hl7Segment,
  patient: Patient,
  encounter: Encounter | undefined,
  orders: readonly OrderedRequest[],
): OrderFlag[] {
  const hasTwo = (type: string) =>
    orders.some(
      ({ request }) => request.identifier!.filter((id) => id.type?.coding?.[0]?.code === type).length > 1,
    );
  const odd: [OrderFlag, boolean][] = [
    ['two-placer-numbers', hasTwo('PLAC')],
    ['two-filler-numbers', hasTwo('FILL')],
    ['prior-results', message.all('ORC').some(isPriorResult)],
    ['birth-date-unreadable', plain(pid.get(7)) !== '' && patient.birthDate === undefined],
    ['visit-without-number', message.segment('PV1') !== undefined && encounter === undefined],
  ];
  return odd.filter(([, is]) => is).map(([flag]) => flag);
}

function missing(at: string, text: string): Failure {
  return new Failure('hl7.missing', text, { issues: [{ at, text: 'is missing' }] });
}

/** Table 0027 and 0485. */
const PRIORITIES: Readonly<Record<string, ServiceRequest['priority']>> = {
  S: 'stat',
  STAT: 'stat',
  A: 'asap',
  R: 'routine',
};
