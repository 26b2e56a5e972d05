import type { Observation } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { cweToConcept, plain, type SenderContext } from './datatype-to-fhir.ts';
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
  const code = cweToConcept(obx.repetitions(3)[0]);
  const status = OBSERVATION_STATUSES[plain(obx.get(11)).toUpperCase()] ?? 'unknown';
  if (code === null) return null;
  const value = resultOf(obx, type);
  const isWithdrawn = status === 'entered-in-error' || status === 'cancelled';
  if (value === null && !isWithdrawn) return null;
  const interpretation = plain(obx.get(8));
  const range = plain(obx.text(7));
  const time = timestampToDateTime(plain(obx.get(14)), context.timeZone);
  const method = cweToConcept(obx.repetitions(17)[0]);
  const bodySite = cweToConcept(obx.repetitions(20)[0]);
  return {
    resourceType: 'Observation',
    status,
    code,
    ...value,
    ...(interpretation
      ? { interpretation: [{ coding: [{ system: CODE_SYSTEMS.interpretation, code: interpretation }] }] }
      : {}),
    ...(range ? { referenceRange: [{ text: range }] } : {}),
    ...(time ? { effectiveDateTime: time } : {}),
    ...(method ? { method } : {}),
    ...(bodySite ? { bodySite } : {}),
  };
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

function resultOf(obx: Hl7Segment, type: string): Partial<Observation> | null {
  const text = plain(obx.get(5));
  switch (type) {
    case 'NM':
      return quantity(text, obx);
    case 'SN':
      return structuredNumber(obx);
    case 'DT':
    case 'TM':
    case 'TS':
    case 'DTM':
      return text === '' ? null : { valueString: text };
    default: {
      const valueCodeableConcept = cweToConcept(obx.repetitions(5)[0]);
      return valueCodeableConcept ? { valueCodeableConcept } : null;
    }
  }
}

/** NM is a number or it is kept as the text it is: a number that was guessed would be believed. */
function quantity(text: string, obx: Hl7Segment): Partial<Observation> | null {
  if (text === '') return null;
  if (!NUMBER.test(text)) return { valueString: text };
  return { valueQuantity: { value: Number(text), ...unitOf(obx) } };
}

/** `comparator^number^separator^number`: a bound, a ratio, a range; what fits none of them is kept as text. */
function structuredNumber(obx: Hl7Segment): Partial<Observation> | null {
  const [comparator, first, separator, second] = [1, 2, 3, 4].map((at) => plain(obx.get(5, at)));
  const unit = unitOf(obx);
  const text = [comparator, first, separator, second].join(' ').trim();
  if (text === '') return null;
  if (!NUMBER.test(first ?? '') || (second && !NUMBER.test(second))) return { valueString: text };
  const low = { value: Number(first), ...unit };
  if (!second && COMPARATORS.has(comparator ?? ''))
    return { valueQuantity: { ...low, comparator: comparator as '<' } };
  if (!second && (comparator === '' || comparator === '=')) return { valueQuantity: low };
  const high = { value: Number(second), ...unit };
  if (separator === '-') return { valueRange: { low, high } };
  if (separator === ':' || separator === '/') return { valueRatio: { numerator: low, denominator: high } };
  return { valueString: text };
}

/** OBX-6; only a unit that is named as UCUM gets a code. */
function unitOf(obx: Hl7Segment): { unit?: string; system?: string; code?: string } {
  const code = plain(obx.get(6));
  if (code === '') return {};
  const isUcum = plain(obx.get(6, 3)).toUpperCase() === 'UCUM';
  return { unit: plain(obx.get(6, 2)) || code, ...(isUcum ? { system: CODE_SYSTEMS.ucum, code } : {}) };
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const COMPARATORS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
