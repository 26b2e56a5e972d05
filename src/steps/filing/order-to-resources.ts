import type { Encounter, Patient, ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { type TimeSpan, timestampToSpan } from '../../hl7/time-span.ts';
import type { Place } from './accession-places.ts';
import { plain, type SenderContext } from './datatype-to-fhir.ts';
import { orderDeletions, patientDeletions, visitDeletions } from './delete-marks.ts';
import { refuseSecondPatient } from './only-patient.ts';
import { orderControl } from './order-control.ts';
import { isPriorResult, type OrderGroup, orderGroups } from './order-groups.ts';
import { hasUnknownPriority, orderToRequest } from './order-to-request.ts';
import { pidOf, pidToPatient } from './pid-to-patient.ts';
import { pv1ToEncounter } from './pv1-to-encounter.ts';
import { type SupportingLines, supportingLines, supportingText } from './supporting-lines.ts';

/** What an order message says, as resources without ids: who is meant is in their identifiers. */
export interface OrderResources {
  readonly patient: Patient;
  readonly encounter?: Encounter;
  /** Elements of these two that it takes back (`""`). */
  readonly deleted: { readonly patient: readonly string[]; readonly visit: readonly string[] };
  /** One per ORC, in message order. */
  readonly orders: readonly OrderedRequest[];
  /** What looked odd and was got over; fixed words, no patient data. */
  readonly flags: readonly OrderFlag[];
}

export interface OrderedRequest {
  /** `subject` is filled in where the patient's id is known. */
  readonly request: Omit<ServiceRequest, 'subject'>;
  /** Elements that it takes back (`""`). */
  readonly deleted: readonly string[];
  /** ORC-9: when it was placed, or changed. */
  readonly event: TimeSpan | null;
  /** Diagnoses and results that came with it. */
  readonly supporting: SupportingLines;
  /** False: a known order keeps the time it was first placed. */
  readonly isNew: boolean;
  /** False: a known order keeps its status. */
  readonly saysStatus: boolean;
  /** It goes for the one that replaces it. */
  readonly isReplaced: boolean;
  /** Places in `orders` of those that this one replaces. */
  readonly replaces: readonly number[];
}

export type OrderFlag =
  | 'two-placer-numbers'
  | 'two-filler-numbers'
  | 'prior-results'
  | 'obr-without-orc'
  | 'priority-unknown'
  | 'order-line-left-out'
  | 'results-as-text'
  | 'birth-date-unreadable'
  | 'visit-without-number'
  | 'delete-ignored';

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
  refuseSecondPatient(message, 'order');
  const patient = pidToPatient(pid, context);
  const encounter = pv1ToEncounter(message.segment('PV1'), pid, context, message.segment('PV2'));
  const orders: OrderedRequest[] = [];
  let replaced: number[] = [];
  const [ofPatient, ofVisit] = [patientDeletions(pid), visitDeletions(message)];
  let ignored = ofPatient.ignored || ofVisit.ignored;
  const groups = orderGroups(message);
  for (const [at, group] of groups.entries()) {
    const control = orderControl(group.orc);
    const { isNew, saysStatus, isReplaced } = control;
    const deletions = orderDeletions(group);
    ignored ||= deletions.ignored;
    const request = orderToRequest(group, message, context, places, control);
    const supporting = supportingLines(group, context);
    orders.push({
      ...{ request, supporting, isNew, saysStatus, isReplaced, deleted: deletions.elements },
      event: timestampToSpan(plain(group.orc.get(9)), context.timeZone),
      replaces: control.replaces ? replaced : [],
    });
    // Several may be replaced by several: RP RP RO RO.
    if (control.isReplaced) replaced = orders.at(at - 1)?.replaces.length ? [at] : [...replaced, at];
    else if (!control.replaces) replaced = [];
  }
  const flags = flagsOf({ message, pid, patient, encounter, orders, groups, ignored });
  return {
    patient,
    ...(encounter ? { encounter } : {}),
    deleted: { patient: ofPatient.elements, visit: ofVisit.elements },
    orders: withinLimit(orders),
    flags,
  };
}

interface ReadOrder {
  readonly message: Hl7Message;
  readonly pid: Hl7Segment;
  readonly patient: Patient;
  readonly encounter: Encounter | undefined;
  readonly orders: readonly OrderedRequest[];
  readonly groups: readonly OrderGroup[];
  /** Something was to be taken back that cannot be. */
  readonly ignored: boolean;
}

function flagsOf({ message, pid, patient, encounter, orders, groups, ignored }: ReadOrder): OrderFlag[] {
  const hasTwo = (type: string) =>
    orders.some(
      ({ request }) => request.identifier!.filter((id) => id.type?.coding?.[0]?.code === type).length > 1,
    );
  const odd: [OrderFlag, boolean][] = [
    ['two-placer-numbers', hasTwo('PLAC')],
    ['two-filler-numbers', hasTwo('FILL')],
    ['prior-results', message.all('ORC').some(isPriorResult) || groups.some(({ end }) => end === 'PID')],
    ['obr-without-orc', groups.some(({ end }) => end === 'OBR')],
    ['priority-unknown', groups.some(hasUnknownPriority)],
    ['order-line-left-out', orders.some(({ supporting }) => supporting.leftOut)],
    ['results-as-text', countOf(orders) > SUPPORTING_MAX],
    ['birth-date-unreadable', plain(pid.get(7)) !== '' && patient.birthDate === undefined],
    ['visit-without-number', message.segment('PV1') !== undefined && encounter === undefined],
    ['delete-ignored', ignored],
  ];
  return odd.filter(([, is]) => is).map(([flag]) => flag);
}

/**
 * Diagnoses and results of one message that become resources of their own, in the transaction that files it. More of them are filed as notes of their order: its
 * sender has been told AA, and an order that is not in the record has no images analysed.
 */
export const SUPPORTING_MAX = 1_000;

const countOf = (orders: readonly OrderedRequest[]) =>
  orders.reduce((sum, { supporting }) => sum + supporting.diagnoses.length + supporting.results.length, 0);

function withinLimit(orders: readonly OrderedRequest[]): readonly OrderedRequest[] {
  if (countOf(orders) <= SUPPORTING_MAX) return orders;
  return orders.map((one) => {
    const text = supportingText(one.supporting);
    const note = [...(one.request.note ?? []), ...(text === '' ? [] : [{ text }])];
    const supporting = { diagnoses: [], results: [], leftOut: one.supporting.leftOut };
    return { ...one, supporting, request: { ...one.request, ...(note.length > 0 ? { note } : {}) } };
  });
}
