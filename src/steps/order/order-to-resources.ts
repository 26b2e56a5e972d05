import type { CodeableConcept, Encounter, Patient, ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { cweToConcept, mapRepetitions, plain, type SenderContext } from './datatype-to-fhir.ts';
import { type OrderGroup, orderGroups, segmentsOf } from './order-groups.ts';
import { groupNumber, orderNumbers } from './order-numbers.ts';
import { pidToPatient } from './pid-to-patient.ts';
import { pv1ToEncounter } from './pv1-to-encounter.ts';

/** What an order message says, as resources without ids: who is meant is in their identifiers. */
export interface OrderResources {
  readonly patient: Patient;
  readonly encounter?: Encounter;
  /** One per ORC. `subject` is filled in where the patient's id is known. */
  readonly serviceRequests: readonly Omit<ServiceRequest, 'subject'>[];
  /** What looked odd and was got over; fixed words, no patient data. */
  readonly flags: readonly OrderFlag[];
}

export type OrderFlag =
  | 'two-placer-numbers'
  | 'two-filler-numbers'
  | 'birth-date-unreadable'
  | 'visit-without-number'
  | 'not-production';

/**
 * ORM^O01, OMI^O23 or OMG^O19 → resources (v2-to-FHIR segment maps; for IPC and ZDS, which have none, see `order-numbers.ts`).
 * `timeZone`: zone of times that name none; null keeps their date alone.
 * Throws `hl7.unsupported-type`, `hl7.unsupported-event`, `hl7.unsupported-version`, `hl7.missing` or `hl7.value`.
 */
export function orderToResources(message: Hl7Message, timeZone: string | null): OrderResources {
  checkHeader(message);
  const pid = message.segment('PID');
  if (pid === undefined) throw missing('PID', 'The message has no PID segment: an order is for a patient.');
  const facility = message.get('MSH', 1, 4) || message.get('MSH', 1, 3);
  const context: SenderContext = { facility, timeZone };
  const patient = pidToPatient(pid, context);
  const encounter = pv1ToEncounter(message.segment('PV1'), pid, context);
  const serviceRequests = orderGroups(message).map((group) => orderToRequest(group, message, context));
  const flags = flagsOf(message, pid, patient, encounter, serviceRequests);
  return { patient, ...(encounter ? { encounter } : {}), serviceRequests, flags };
}

/** ORC, OBR and what follows → one ServiceRequest. */
function orderToRequest(
  group: OrderGroup,
  message: Hl7Message,
  context: SenderContext,
): Omit<ServiceRequest, 'subject'> {
  const { orc, obr } = group;
  const identifier = orderNumbers(group, message, context);
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
  const note = segmentsOf(group, 'NTE')
    .map((nte) => ({
      text: nte
        .repetitions(3)
        .map((one) => plain(one.text(1)))
        .join('\n'),
    }))
    .filter(({ text }) => text !== '');
  return {
    resourceType: 'ServiceRequest',
    identifier,
    ...(requisition ? { requisition } : {}),
    status: statusOf(orc),
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

/**
 * The published map makes a cancel *request* (CA, DC) active. For a filler that must stop its work a request to stop is a stop: it
 * outranks ORC-5, which still says the state before. Else ORC-5 where it is a code of table 0038, else ORC-1.
 */
function statusOf(orc: Hl7Segment): ServiceRequest['status'] {
  const control = plain(orc.get(1)).toUpperCase();
  const byControl = CONTROLS[control];
  if (byControl === undefined) {
    const text =
      control === '' ? 'ORC-1 is empty' : 'ORC-1 holds a code that is no order, change or cancellation';
    throw new Failure('hl7.value', `${text}: send NW, XO, SC, HD, CA or DC.`, {
      issues: [{ at: 'ORC^1^1', text }],
    });
  }
  if (byControl === 'revoked') return byControl;
  return STATUSES[plain(orc.get(5)).toUpperCase()] ?? byControl;
}

function priorityOf({ orc, obr, segments }: OrderGroup): ServiceRequest['priority'] | undefined {
  const tq1 = segments.find((segment) => segment.name === 'TQ1');
  const texts = [tq1?.get(9), obr?.get(5), obr?.get(27, 6), orc.get(7, 6)];
  return texts.map((text) => PRIORITIES[plain(text).toUpperCase()]).find((one) => one !== undefined);
}

function checkHeader(message: Hl7Message): void {
  const type = `${message.get('MSH', 1, 9, 1)}^${message.get('MSH', 1, 9, 2)}`;
  if (message.get('MSH', 1, 9) === '') throw missing('MSH^1^9', 'MSH-9 is empty: send the message type.');
  if (message.get('MSH', 1, 10) === '')
    throw missing('MSH^1^10', 'MSH-10 is empty: send a unique message control id.');
  if (!ORDER_TYPES.has(type.slice(0, 3))) {
    throw new Failure(
      'hl7.unsupported-type',
      'This message type is not taken here: send ORM^O01, OMI^O23 or OMG^O19.',
      {
        issues: [{ at: 'MSH^1^9', text: 'is not supported' }],
      },
    );
  }
  if (!ORDER_EVENTS.has(type)) {
    throw new Failure(
      'hl7.unsupported-event',
      'This event is not taken here: send ORM^O01, OMI^O23 or OMG^O19.',
      {
        issues: [{ at: 'MSH^1^9', text: 'is not supported' }],
      },
    );
  }
  if (!/^(2(\.\d){0,2})?$/.test(plain(message.get('MSH', 1, 12)))) {
    throw new Failure('hl7.unsupported-version', 'MSH-12 is no version 2 of HL7.', {
      issues: [{ at: 'MSH^1^12', text: 'is unknown' }],
    });
  }
}

function flagsOf(
  message: Hl7Message,
  pid: Hl7Segment,
  patient: Patient,
  encounter: Encounter | undefined,
  requests: readonly Omit<ServiceRequest, 'subject'>[],
): OrderFlag[] {
  const hasTwo = (type: string) =>
    requests.some((one) => one.identifier!.filter((id) => id.type?.coding?.[0]?.code === type).length > 1);
  const odd: [OrderFlag, boolean][] = [
    ['two-placer-numbers', hasTwo('PLAC')],
    ['two-filler-numbers', hasTwo('FILL')],
    ['birth-date-unreadable', plain(pid.get(7)) !== '' && patient.birthDate === undefined],
    ['visit-without-number', message.segment('PV1') !== undefined && encounter === undefined],
    ['not-production', ['T', 'D'].includes(plain(message.get('MSH', 1, 11)))],
  ];
  return odd.filter(([, is]) => is).map(([flag]) => flag);
}

function missing(at: string, text: string): Failure {
  return new Failure('hl7.missing', text, { issues: [{ at, text: 'is missing' }] });
}

const ORDER_TYPES = new Set(['ORM', 'OMI', 'OMG']);
const ORDER_EVENTS = new Set(['ORM^O01', 'OMI^O23', 'OMG^O19']);

/** Table 0119, the codes that make, change, hold, release or stop an order. */
const CONTROLS: Readonly<Record<string, ServiceRequest['status']>> = {
  NW: 'active',
  XO: 'active',
  XX: 'active',
  SC: 'active',
  SN: 'active',
  RO: 'active',
  RU: 'active',
  CH: 'active',
  PA: 'active',
  RL: 'active',
  HD: 'on-hold',
  CA: 'revoked',
  DC: 'revoked',
  OC: 'revoked',
  OD: 'revoked',
  RP: 'revoked',
  CR: 'revoked',
  DR: 'revoked',
};

/** Table 0038. */
const STATUSES: Readonly<Record<string, ServiceRequest['status']>> = {
  A: 'active',
  IP: 'active',
  SC: 'active',
  CM: 'completed',
  CA: 'revoked',
  DC: 'revoked',
  RP: 'revoked',
  HD: 'on-hold',
  ER: 'entered-in-error',
};

/** Table 0027 and 0485. */
const PRIORITIES: Readonly<Record<string, ServiceRequest['priority']>> = {
  S: 'stat',
  STAT: 'stat',
  A: 'asap',
  R: 'routine',
};
