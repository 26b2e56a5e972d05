import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { PRELIM } from '../../kernel/code-systems.ts';
import { type OrderGroup, segmentsOf } from './order-groups.ts';
import { ownNotes } from './order-notes.ts';

/**
 * HL7's `""` (chapter 2.5.3): the value that was sent before is to be taken back, while an empty field leaves it. What it takes back of each field: elements as
 * `elementsOf` names them; `kept`, what cannot be blank or is only ever added to; or nothing by itself, because the field goes with another one.
 */
type Marks = Readonly<Record<number, readonly string[] | 'kept' | { readonly goesWith: number }>>;

export interface Deletions {
  readonly elements: readonly string[];
  /** There was a mark that takes nothing back. */
  readonly ignored: boolean;
}

export const patientDeletions = (pid: Hl7Segment): Deletions => deletionsOf([[pid, PID]]);

export const visitDeletions = (message: Hl7Message): Deletions =>
  deletionsOf([
    ...message
      .all('PV1')
      .slice(0, 1)
      .map((one) => [one, PV1] as const),
    ...message
      .all('PV2')
      .slice(0, 1)
      .map((one) => [one, PV2] as const),
  ]);

export const orderDeletions = (group: OrderGroup): Deletions =>
  deletionsOf([
    [group.orc, ORC],
    ...(group.obr ? [[group.obr, OBR] as const] : []),
    ...segmentsOf(group, 'TQ1').map((one) => [one, TQ1] as const),
    ...segmentsOf(group, 'IPC').map((one) => [one, IPC] as const),
    ...segmentsOf(group, 'ZDS').map((one) => [one, ZDS] as const),
    ...ownNotes(group).map((one) => [one, NTE] as const),
  ]);

function deletionsOf(segments: readonly (readonly [Hl7Segment, Marks])[]): Deletions {
  const elements: string[] = [];
  let ignored = false;
  for (const [segment, marks] of segments) {
    for (const [field, mark] of Object.entries(marks)) {
      if (!isDeleteMark(segment, Number(field))) continue;
      if (Array.isArray(mark)) elements.push(...mark);
      else if (mark === 'kept' || !isFilled(segment, (mark as { goesWith: number }).goesWith)) ignored = true;
    }
  }
  return { elements, ignored };
}

/** `""` in each component and repetition that is filled: some senders write it in all of them. */
function isDeleteMark(segment: Hl7Segment, field: number): boolean {
  const cells = segment.repetitions(field).flatMap((one) => one.wholeText().split(/[\^&]/));
  const filled = cells.map((cell) => cell.trim()).filter((cell) => cell !== '');
  return filled.length > 0 && filled.every((cell) => cell === '""');
}

const isFilled = (segment: Hl7Segment, field: number): boolean =>
  segment.repetitions(field).some((one) => one.wholeText().trim() !== '');

const HL7 = 'http://hl7.org/fhir/StructureDefinition';
const US_CORE = 'http://hl7.org/fhir/us/core/StructureDefinition';

const PID: Marks = {
  2: 'kept',
  4: 'kept',
  5: 'kept',
  6: [`extension/${HL7}/patient-mothersMaidenName`],
  7: ['birthDate'],
  8: ['gender'],
  9: ['name/alias'],
  10: [`extension/${US_CORE}/us-core-race`],
  11: ['address'],
  12: { goesWith: 11 },
  13: ['telecom/home'],
  14: ['telecom/work'],
  15: ['communication'],
  16: ['maritalStatus'],
  17: [`extension/${HL7}/patient-religion`],
  18: 'kept',
  19: 'kept',
  20: 'kept',
  22: [`extension/${US_CORE}/us-core-ethnicity`],
  23: [`extension/${HL7}/patient-birthPlace`],
  24: ['multipleBirth'],
  25: ['multipleBirth'],
  26: [`extension/${HL7}/patient-citizenship`],
  28: [`extension/${HL7}/patient-nationality`],
  29: ['deceased'],
  30: ['deceased'],
  35: [`extension/${HL7}/patient-animal`],
  36: { goesWith: 35 },
  39: [`extension/${HL7}/patient-citizenship`],
  40: ['telecom/home', 'telecom/work'],
};

const stay = (name: string) => [`hospitalization/${name}`];
const PV1: Marks = {
  2: 'kept',
  // Without where he is, the other places would stand in for it.
  3: ['location/now', 'location/reserved', 'location/completed'],
  4: ['type'],
  5: stay('preAdmissionIdentifier'),
  6: ['location/completed'],
  7: ['participant/ATND'],
  8: ['participant/REF'],
  9: ['participant/CON'],
  10: ['serviceType'],
  11: { goesWith: 3 },
  13: stay('reAdmission'),
  14: stay('admitSource'),
  15: stay('specialArrangement'),
  16: stay('specialCourtesy'),
  17: ['participant/ADM'],
  18: ['type'],
  19: 'kept',
  36: stay('dischargeDisposition'),
  37: stay('destination'),
  38: stay('dietPreference'),
  42: ['location/reserved'],
  43: ['location/completed'],
  44: ['period/start'],
  45: ['period/end'],
  50: 'kept',
  52: ['participant/PART'],
};
const PV2: Marks = { 3: ['reasonCode'] };

const CALLBACK = [`extension/${HL7}/servicerequest-order-callback-phone-number`];
const ORC: Marks = {
  2: 'kept',
  3: 'kept',
  4: ['requisition'],
  5: 'kept',
  7: ['occurrence', 'priority'],
  8: ['basedOn'],
  9: 'kept',
  12: ['requester'],
  14: CALLBACK,
  16: [`extension/${HL7}/request-statusReason`],
  21: ['requester'],
  28: 'kept',
  29: ['locationCode'],
  33: 'kept',
};
const OBR: Marks = {
  2: 'kept',
  3: 'kept',
  4: 'kept',
  5: ['priority'],
  6: ['occurrence'],
  12: ['note'],
  13: ['note'],
  15: ['bodySite'],
  16: ['requester'],
  17: CALLBACK,
  18: 'kept',
  19: 'kept',
  20: 'kept',
  24: ['category/section'],
  27: ['occurrence', 'priority'],
  28: [`extension/${PRELIM}/StructureDefinition/result-copies-to`],
  29: ['basedOn'],
  30: ['orderDetail'],
  31: ['reasonCode'],
  36: ['occurrence'],
  44: ['orderDetail'],
  45: ['orderDetail'],
  46: ['orderDetail'],
  47: ['orderDetail'],
  53: 'kept',
};
const TQ1: Marks = { 7: ['occurrence'], 9: ['priority'] };
const IPC: Marks = {
  1: 'kept',
  2: 'kept',
  3: 'kept',
  4: 'kept',
  5: ['orderDetail'],
  6: ['orderDetail'],
  7: ['performer'],
  8: ['locationReference'],
  9: ['performer'],
};
const ZDS: Marks = { 1: 'kept' };
const NTE: Marks = { 3: ['note'] };
