import type { Observation, ObservationComponent, Quantity } from '@medplum/fhirtypes';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { Repetition, Row } from '../../hl7/codec.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { attachmentRows } from './attachment-rows.ts';
import { conceptToCwe, decimalText } from './fhir-to-datatype.ts';
import { studyNumbers } from './head-rows.ts';
import { lineIdOf } from './line-ids.ts';
import { obx } from './obx-row.ts';
import type { LineIds, OruInput } from './oru-input.ts';
import type { ReportStatus } from './report-status.ts';
import { sectionRows } from './section-rows.ts';

/**
 * The OBX segments of a result: the study, then text, then each finding, then attachments and links. A finding's OBX share one OBX-4; `lineIds` has it, so
 * that a later version names the same lines.
 */
export function resultRows(
  input: OruInput,
  status: ReportStatus,
  lineIds: LineIds,
): { rows: Row[]; leftOut: readonly string[] } {
  const coded = input.profile.codedResults && status.withResults ? input.observations : [];
  const attachments = status.withResults ? attachmentRows(input, status) : { rows: [], leftOut: [] };
  const rows = [
    ...studyRows(input),
    ...sectionRows(input, status),
    ...coded.flatMap((observation, at) =>
      findingRows(observation, lineIdOf(observation, at, lineIds), input, status),
    ),
    ...attachments.rows,
  ];
  return { rows, leftOut: attachments.leftOut };
}

/** Identifiers of the images, with status O: they are no result and not for reading. */
function studyRows(input: OruInput): Row[] {
  const { studyUid: form } = input.profile;
  const { studyUid: uid, filler } = studyNumbers(input);
  if (form === 'none' || uid === '') return [];
  if (form === 'RAD-28') {
    // Without the first line the receiver makes up a UID; with it a repeat of this message is the same object there.
    const sr = stableUid('oru-structured-report', filler, input.controlId);
    return [
      obx({ type: 'HD', code: ['', 'SR Instance UID'], value: sr, status: 'O' }, input),
      obx({ type: 'HD', code: ['', 'Study Instance UID'], sub: '1', value: uid, status: 'O' }, input),
    ];
  }
  const value = form === 'HD' ? ['', uid, 'ISO'] : uid;
  return [obx({ type: form, code: ['113014', 'DICOM Study', 'DCM'], value, status: 'O' }, input)];
}

function findingRows(observation: Observation, sub: string, input: OruInput, status: ReportStatus): Row[] {
  const { profile } = input;
  const code = conceptToCwe(observation.code, profile);
  const time = observation.effectiveDateTime ?? input.report.effectiveDateTime;
  const letter = LINE_STATUSES[observation.status] ?? status.observation;
  const shared = { sub, status: letter, device: input.device, ...(time ? { time } : {}) };
  const flag = flagOf(observation, profile.criticalFlags);
  const quantity = observation.valueQuantity;
  if (quantity?.value !== undefined) {
    const value = quantity.comparator
      ? [quantity.comparator, decimalText(quantity.value)]
      : decimalText(quantity.value);
    const type = quantity.comparator ? 'SN' : 'NM';
    return [
      obx(
        { ...shared, type, code, value, units: unitsOf(quantity), range: rangeOf(observation), flag },
        input,
      ),
    ];
  }
  if (observation.valueString !== undefined)
    return [obx({ ...shared, type: 'TX', code, value: observation.valueString, flag }, input)];
  const presence = conceptToCwe(observation.valueCodeableConcept, profile);
  const rows = [obx({ ...shared, type: 'CWE', code, value: presence, flag }, input)];
  const score = componentOf(observation, 'score')?.valueQuantity;
  if (score?.value !== undefined) {
    const threshold = componentOf(observation, 'threshold')?.valueQuantity?.value;
    const range = threshold === undefined ? '' : `<${decimalText(threshold)}`;
    const value = decimalText(score.value);
    rows.push(obx({ ...shared, type: 'NM', code: SCORE, value, units: unitsOf(score), range }, input));
  }
  return rows;
}

/** What is said of one line whatever the report says: it was deleted, or there will be none. */
const LINE_STATUSES: Readonly<Partial<Record<Observation['status'], string>>> = {
  'entered-in-error': 'D',
  cancelled: 'X',
};

const SCORE: Repetition = ['score', 'Score of the model', '99PRELIM'];

function componentOf(observation: Observation, code: string): ObservationComponent | undefined {
  return observation.component?.find((component) =>
    component.code.coding?.some((coding) => coding.system === CODE_SYSTEMS.finding && coding.code === code),
  );
}

/** Always with its coding system: a bare unit text is read differently by each receiver. */
const unitsOf = (quantity: Quantity): Repetition => [quantity.code ?? quantity.unit ?? '1', '', 'UCUM'];

function rangeOf(observation: Observation): string {
  const range = observation.referenceRange?.[0];
  if (range === undefined) return '';
  const [low, high] = [range.low?.value, range.high?.value];
  if (range.text) return range.text;
  if (low !== undefined && high !== undefined) return `${decimalText(low)}-${decimalText(high)}`;
  return low !== undefined ? `>${decimalText(low)}` : high !== undefined ? `<${decimalText(high)}` : '';
}

/** OBX-8 (table 0078 has the same letters). Critical flags only where the site asked for them: they may page somebody. */
function flagOf(observation: Observation, criticalFlags: boolean): string {
  const code = observation.interpretation?.[0]?.coding?.[0]?.code ?? '';
  if (criticalFlags) return code;
  return ({ AA: 'A', HH: 'H', LL: 'L' } as Record<string, string>)[code] ?? code;
}
