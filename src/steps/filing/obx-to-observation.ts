import type { Observation } from '@medplum/fhirtypes';
import type { Hl7Repetition, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import {
  cweToConcept,
  eiToIdentifier,
  mapRepetitions,
  plain,
  type SenderContext,
} from './datatype-to-fhir.ts';
import { OBSERVATION_STATUSES } from './result-status.ts';

/** An Observation without its patient and its id. */
export type ReportedObservation = Omit<Observation, 'id' | 'subject'>;

/**
 * OBX → Observation (v2-to-FHIR, segment map OBX): lines with a coded result or a number, and text lines with a code of their own are the
 * report's narrative (`narrativeOf`). Null for what is no coded result: text, pictures, links, UIDs of the study.
 */
export function obxToObservation(obx: Hl7Segment, context: SenderContext): ReportedObservation | null {
  const type = plain(obx.get(2)).toUpperCase();
  if (!CODED_TYPES.has(type)) return null;
  const values = obx.repetitions(5).map((one) => resultOf(one, { obx, type, context }));
  return toObservation(obx, values, context);
}

/** OBX of an order → Observation: as of a result, and text too, for an order has no narrative. Null for documents, links and what has no code. */
export function obxToAnswer(obx: Hl7Segment, context: SenderContext): ReportedObservation | null {
  const type = plain(obx.get(2)).toUpperCase();
  if (CODED_TYPES.has(type)) return obxToObservation(obx, context);
  if (!PLAIN_TYPES.has(type)) return null;
  const lines = obx.repetitions(5).map((one) => plain(one.wholeText().replaceAll(LINE_BREAK, '\n')));
  const text = lines.join('\n').trim();
  // A number with a unit is one, whatever OBX-2 calls it: `OBX|1|ST|^Body Weight||65|kg`.
  const isNumber = NUMBER.test(text) && plain(obx.get(6)) !== '';
  return toObservation(obx, [isNumber ? quantity(text, obx) : text ? { valueString: text } : null], context);
}

/** `Weight: 74 kg`. */
export function lineText(obx: Hl7Segment): string {
  const label = plain(obx.text(3, 2)) || plain(obx.get(3));
  const value =
    plain(obx.get(2)).toUpperCase() === 'SN'
      ? [1, 2, 3, 4].map((n) => plain(obx.get(5, n))).join('')
      : plain(obx.text(5, 2)) || plain(obx.get(5));
  return `${label}: ${value} ${plain(obx.get(6))}`.trim();
}

/** One value is the Observation's; several (repetitions of OBX-5) are components under the same code, beside which FHIR allows no value (obs-7). */
function toObservation(
  obx: Hl7Segment,
  values: readonly (Value | null)[],
  context: SenderContext,
): ReportedObservation | null {
  const all = values.filter((one) => one !== null);
  const [value = null] = all;
  const code = cweToConcept(obx.repetitions(3)[0]);
  const status = OBSERVATION_STATUSES[plain(obx.get(11)).toUpperCase()] ?? 'unknown';
  if (code === null) return null;
  const isWithdrawn = status === 'entered-in-error' || status === 'cancelled';
  if (value === null && !isWithdrawn) return null;
  const identifier = eiToIdentifier(obx.repetitions(21)[0], 'observation', null, context);
  const range = plain(obx.text(7));
  const interpretation = mapRepetitions(obx, 8, (one) => plain(one.get(1)) || null);
  const time = timestampToDateTime(plain(obx.get(14)), context.timeZone);
  const method = cweToConcept(obx.repetitions(17)[0]);
  const bodySite = cweToConcept(obx.repetitions(20)[0]);
  const performer = performersOf(obx, context);
  const device = plain(obx.get(18));
  return {
    resourceType: 'Observation',
    ...(identifier ? { identifier: [identifier] } : {}),
    status,
    code,
    ...(all.length > 1 ? {} : value),
    ...(interpretation.length > 0
      ? {
          interpretation: interpretation.map((code) => ({
            coding: [{ system: CODE_SYSTEMS.interpretation, code }],
          })),
        }
      : {}),
    ...(range ? { referenceRange: [{ text: range }] } : {}),
    ...(time ? { effectiveDateTime: time } : {}),
    ...(performer.length > 0 ? { performer } : {}),
    ...(method ? { method } : {}),
    ...(device ? { device: { identifier: { value: device } } } : {}),
    ...(bodySite ? { bodySite } : {}),
    ...(all.length > 1 ? { component: all.map((one) => ({ code, ...one })) } : {}),
  };
}

/** `value[x]` of an Observation or of a component. */
type Value = Pick<
  Observation,
  | 'valueQuantity'
  | 'valueString'
  | 'valueDateTime'
  | 'valueTime'
  | 'valueRange'
  | 'valueRatio'
  | 'valueCodeableConcept'
>;

/** OBX-16 who measured; OBX-23, else OBX-15, what institution. */
function performersOf(obx: Hl7Segment, context: SenderContext): NonNullable<Observation['performer']> {
  const persons = mapRepetitions(obx, 16, (xcn) => xcnToReference(xcn, context.facility));
  const producer = cweToConcept(obx.repetitions(15)[0]);
  const place = plain(obx.text(23)) || (producer?.text ?? '');
  return [...persons, ...(place ? [{ type: 'Organization', display: place }] : [])] as NonNullable<
    Observation['performer']
  >;
}

/** Types whose value means something by itself. */
export const CODED_TYPES: ReadonlySet<string> = new Set([
  'NM',
  'SN',
  'CWE',
  'CE',
  'CNE',
  'CF',
  'DT',
  'TM',
  'TS',
  'DTM',
]);

/** Types whose value is text; '' for an OBX without OBX-2. */
const PLAIN_TYPES: ReadonlySet<string> = new Set(['ST', 'TX', 'FT', 'IS', 'ID', '']);
const LINE_BREAK = '\\.br\\';

interface Line {
  readonly obx: Hl7Segment;
  readonly type: string;
  readonly context: SenderContext;
}

function resultOf(value: Hl7Repetition, { obx, type, context }: Line): Value | null {
  const text = plain(value.get(1));
  switch (type) {
    case 'NM':
      return quantity(text, obx);
    case 'SN':
      return structuredNumber(value, obx);
    case 'TM':
      return text === '' ? null : timeOf(text);
    case 'DT':
    case 'TS':
    case 'DTM':
      return text === '' ? null : dateTimeOf(text, context);
    default: {
      const valueCodeableConcept = cweToConcept(value);
      return valueCodeableConcept ? { valueCodeableConcept } : null;
    }
  }
}

/** A time whose zone nobody knows is kept as the text it is, like what is no time. */
function dateTimeOf(text: string, { timeZone }: SenderContext): Value {
  const value = timestampToDateTime(text, timeZone);
  const isWhole = value !== null && (value.includes('T') || text.length <= DATE_CHARACTERS);
  return isWhole ? { valueDateTime: value } : { valueString: text };
}

/** `YYYYMMDD`. */
const DATE_CHARACTERS = 8;

/** FHIR's time of day is to the second and has no zone. */
function timeOf(text: string): Value {
  const [, hour, minute, second = '00'] = /^([01]\d|2[0-3])([0-5]\d)([0-5]\d)?$/.exec(text) ?? [];
  return hour ? { valueTime: `${hour}:${minute}:${second}` } : { valueString: text };
}

/** NM is a number or it is kept as the text it is: a number that was guessed would be believed. */
function quantity(text: string, obx: Hl7Segment): Value | null {
  if (text === '') return null;
  if (!NUMBER.test(text)) return { valueString: text };
  return { valueQuantity: { value: Number(text), ...unitOf(obx) } };
}

/** `comparator^number^separator^number`: a bound, a ratio, a range; what fits none of them is kept as text. */
function structuredNumber(value: Hl7Repetition, obx: Hl7Segment): Value | null {
  const [comparator, first, separator, second] = [1, 2, 3, 4].map((at) => plain(value.get(at)));
  const unit = unitOf(obx);
  const text = [comparator, first, separator, second].join(' ').trim();
  if (text === '') return null;
  if (!NUMBER.test(first ?? '') || (second && !NUMBER.test(second))) return { valueString: text };
  // `2+` is a grade and not the number 2, `<1:128` not the ratio 1:128: FHIR has neither, so they stay as they were written.
  const isBound = comparator !== '' && comparator !== '=';
  if (second ? isBound : separator !== '') return { valueString: compact(value) };
  const low = { value: Number(first), ...unit };
  if (!second && COMPARATORS.has(comparator ?? ''))
    return { valueQuantity: { ...low, comparator: comparator as '<' } };
  if (!second && (comparator === '' || comparator === '=')) return { valueQuantity: low };
  const high = { value: Number(second), ...unit };
  if (separator === '-') return { valueRange: { low, high } };
  if (separator === ':' || separator === '/') return { valueRatio: { numerator: low, denominator: high } };
  return { valueString: text };
}

const compact = (value: Hl7Repetition) => [1, 2, 3, 4].map((at) => plain(value.get(at))).join('');

/** OBX-6; only a unit that is named as UCUM gets a code. */
function unitOf(obx: Hl7Segment): { unit?: string; system?: string; code?: string } {
  const code = plain(obx.get(6));
  if (code === '') return {};
  const isUcum = plain(obx.get(6, 3)).toUpperCase() === 'UCUM';
  return { unit: plain(obx.get(6, 2)) || code, ...(isUcum ? { system: CODE_SYSTEMS.ucum, code } : {}) };
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const COMPARATORS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
