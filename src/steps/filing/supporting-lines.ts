import type { Annotation, Condition, Observation } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { PRELIM } from '../../kernel/code-systems.ts';
import { cweToConcept, eiToIdentifier, plain, type SenderContext } from './datatype-to-fhir.ts';
import { lineText, obxToAnswer } from './obx-to-observation.ts';
import type { OrderGroup } from './order-groups.ts';
import { noteOf } from './order-notes.ts';

/** A diagnosis or a result that came with an order, without its patient and its id. `key` tells it from the others of the order, in every version of it. */
export interface SupportingLine<T> {
  readonly key: string;
  readonly resource: T;
  /** As one line of a note. */
  readonly text: string;
}
export type OrderDiagnosis = SupportingLine<Omit<Condition, 'id' | 'subject'>>;
export type OrderResult = SupportingLine<Omit<Observation, 'id' | 'subject'>>;

export interface SupportingLines {
  readonly diagnoses: readonly OrderDiagnosis[];
  readonly results: readonly OrderResult[];
  /** There was an OBX of a type that has no place here (a document, a link), or a DG1 or OBX without a code. */
  readonly leftOut: boolean;
}

/**
 * DG1 → Condition, OBX → Observation (v2-to-FHIR, segment maps DG1 and OBX) of an order: why it is asked for, and what the one who does it should know (weight,
 * creatinine, pregnancy). An NTE after an OBX is a note of that.
 */
export function supportingLines({ segments }: OrderGroup, context: SenderContext): SupportingLines {
  const diagnoses: OrderDiagnosis[] = [];
  const results: OrderResult[] = [];
  const times = new Map<string, number>();
  let leftOut = false;
  for (const [at, segment] of segments.entries()) {
    if (segment.name === 'DG1') {
      const diagnosis = toDiagnosis(segment, diagnoses.length + 1, context);
      if (diagnosis) diagnoses.push(diagnosis);
      else leftOut = true;
    } else if (segment.name === 'OBX') {
      const note = notesAfter(segments, at).flatMap((nte) => noteOf(nte, context));
      const result = toResult(segment, note, times, context);
      if (result) results.push(result);
      else leftOut ||= plain(segment.get(5)) !== '' || plain(segment.get(5, 5)) !== '';
    }
  }
  return { diagnoses, results, leftOut };
}

/** All of them as lines of text. */
export const supportingText = ({ diagnoses, results }: SupportingLines): string =>
  [...diagnoses, ...results].map(({ text }) => text).join('\n');

function notesAfter(segments: readonly Hl7Segment[], at: number): Hl7Segment[] {
  const after = segments.slice(at + 1, at + 1 + NOTES_MAX);
  const end = after.findIndex(({ name }) => name !== 'NTE');
  return end < 0 ? after : after.slice(0, end);
}

/** Notes of one result; a sender that writes each line as an NTE has a dozen. */
const NOTES_MAX = 100;

/**
 * Known again by DG1-20, else by its place: what was typed wrongly is corrected in its place. No clinical status: a DG1 does not say it, and as a problem
 * of the patient it would count only when somebody said that it is one.
 */
function toDiagnosis(dg1: Hl7Segment, place: number, context: SenderContext): OrderDiagnosis | null {
  const said = cweToConcept(dg1.repetitions(3)[0]);
  const description = plain(dg1.text(4));
  const code = said ?? (description ? { text: description } : null);
  if (code === null) return null;
  const identifier = eiToIdentifier(dg1.repetitions(20)[0], 'diagnosis', null, context);
  const type = plain(dg1.get(6)).toUpperCase();
  const verification = plain(dg1.get(21)).toUpperCase() === 'D' ? 'entered-in-error' : VERIFICATIONS[type];
  const time = (field: number) => timestampToDateTime(plain(dg1.get(field)), context.timeZone);
  const [onset, recorded] = [time(5), time(19)];
  const asserter = xcnToReference(dg1.repetitions(16)[0], context.facility);
  const resource: OrderDiagnosis['resource'] = {
    resourceType: 'Condition',
    ...(plain(dg1.get(18)).toUpperCase() === 'Y' ? { meta: { security: [RESTRICTED] } } : {}),
    ...(identifier ? { identifier: [identifier] } : {}),
    ...(verification
      ? { verificationStatus: { coding: [{ system: VERIFICATION, code: verification }] } }
      : {}),
    category: [
      { coding: [{ system: CATEGORY, code: 'encounter-diagnosis' }] },
      ...(type ? [{ coding: [{ system: DIAGNOSIS_TYPE, code: type }] }] : []),
    ],
    code: description && said && !said.coding ? { ...said, text: `${said.text}: ${description}` } : code,
    ...(onset ? { onsetDateTime: onset } : {}),
    ...(recorded ? { recordedDate: recorded } : {}),
    ...(asserter ? { asserter: asserter as NonNullable<Condition['asserter']> } : {}),
  };
  const key = identifier?.value ? `id ${identifier.system} ${identifier.value}` : String(place);
  return { key, resource, text: `Diagnosis: ${code.text ?? ''}` };
}

/** The same code under the same sub-id is the same line in every version of the order. */
function toResult(
  obx: Hl7Segment,
  note: readonly Annotation[],
  times: Map<string, number>,
  context: SenderContext,
): OrderResult | null {
  const observation = obxToAnswer(obx, context);
  if (observation === null) return null;
  const line = `${plain(obx.get(3))}|${plain(obx.get(3, 3))}|${plain(obx.get(4))}`;
  const before = times.get(line) ?? 0;
  times.set(line, before + 1);
  const resource = { ...observation, ...(note.length > 0 ? { note: [...note] } : {}) };
  return { key: `${line}|${before + 1}`, resource, text: lineText(obx) };
}

const VERIFICATION = 'http://terminology.hl7.org/CodeSystem/condition-ver-status';
const CATEGORY = 'http://terminology.hl7.org/CodeSystem/condition-category';
const DIAGNOSIS_TYPE = 'http://terminology.hl7.org/CodeSystem/v2-0052';
const RESTRICTED = {
  system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality',
  code: 'R',
  display: 'restricted',
};
/** Table 0052: A admitting and W working are not settled, F is. */
const VERIFICATIONS: Readonly<Record<string, string>> = {
  A: 'provisional',
  W: 'provisional',
  F: 'confirmed',
};

/** Marks what an order message made, as `<id of the order> <key>`: what others linked to the order is never changed. */
export const ORDER_LINE = `${PRELIM}/NamingSystem/order-line`;
