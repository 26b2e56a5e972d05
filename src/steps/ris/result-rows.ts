import type { Observation, ObservationComponent } from '@medplum/fhirtypes';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { Field, Repetition, Row } from '../../hl7/codec.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { attachmentRows } from './attachment-rows.ts';
import { conceptToCwe, decimalText } from './fhir-to-datatype.ts';
import { studyNumbers } from './head-rows.ts';
import { lineIdOf } from './line-ids.ts';
import { type ObxValue, observationValues, unitsOf, unitText } from './observation-values.ts';
import { type Obx, obx } from './obx-row.ts';
import type { LineIds, OruInput } from './oru-input.ts';
import type { ReportStatus } from './report-status.ts';
import { sectionRows } from './section-rows.ts';

/**
 * The OBX segments of a result: the study, then text, then each finding, then attachments and links. A finding's OBX share one OBX-4; `lineIds` has it, so
 * that a later version names the same lines. Text as NTE comes first: behind an OBX it would be a note on that one.
 */
export function resultRows(
  input: OruInput,
  status: ReportStatus,
  lineIds: LineIds,
): { rows: Row[]; leftOut: readonly string[] } {
  const coded = input.profile.codedResults && status.withResults ? input.observations : [];
  const attachments = status.withResults ? attachmentRows(input, status) : { rows: [], leftOut: [] };
  const text = sectionRows(input, status);
  const rows = [
    ...(input.profile.narrative === 'NTE' ? [...text, ...studyRows(input)] : [...studyRows(input), ...text]),
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
  const letter = letterOf(observation, status);
  const shared = { sub, status: letter, device: input.device, ...(time ? { time } : {}) };
  const flag = flagOf(observation, profile.criticalFlags);
  const range = rangeOf(observation);
  const values = observationValues(observation, profile);
  const parts = (observation.component ?? []).flatMap((part) => partRows(part, observation, shared, input));
  // A line without a value says at least what was looked for, unless its parts do.
  const lines = values.length > 0 || parts.length > 0 ? values : [{ type: 'CWE', value: '' }];
  const rows = lines.map((value) => {
    const isNumber = value.type === 'NM' || value.type === 'SN';
    return obx({ ...shared, ...value, code, flag, ...(isNumber ? { range } : {}) }, input);
  });
  return [...rows, ...parts];
}

/** What stands beside the value of a finding, each as a line under the same OBX-4. The threshold is the range of the score. */
function partRows(
  part: ObservationComponent,
  observation: Observation,
  shared: Pick<Obx, 'sub' | 'status' | 'device' | 'time'>,
  input: OruInput,
): Row[] {
  if (isPart(part, 'threshold')) return [];
  const line = (code: Field, value: ObxValue, range: string) =>
    obx({ ...shared, ...value, code, range }, input);
  if (!isPart(part, 'score')) {
    const code = conceptToCwe(part.code, input.profile);
    return observationValues(part, input.profile).map((value) => line(code, value, rangeOf(part)));
  }
  const score = part.valueQuantity;
  if (score?.value === undefined) return [];
  const threshold = observation.component?.find((one) => isPart(one, 'threshold'))?.valueQuantity?.value;
  const range = threshold === undefined ? '' : `<${decimalText(threshold)}`;
  return [line(SCORE, { type: 'NM', value: decimalText(score.value), units: unitsOf(score) }, range)];
}

/** A report that is an error as a whole is one line by line, those too that were taken back before. */
const letterOf = (observation: Observation, status: ReportStatus): string =>
  status.observation === 'W' ? 'W' : (LINE_STATUSES[observation.status] ?? status.observation);

/** What is said of one line whatever the report says: it was deleted, or there will be none. */
const LINE_STATUSES: Readonly<Partial<Record<Observation['status'], string>>> = {
  'entered-in-error': 'D',
  cancelled: 'X',
};

const SCORE: Repetition = ['score', 'Score of the model', '99PRELIM'];

/** Is it the score, or the threshold, that our own findings have? */
const isPart = ({ code }: ObservationComponent, name: 'score' | 'threshold'): boolean =>
  code.coding?.some((coding) => coding.system === CODE_SYSTEMS.finding && coding.code === name) === true;

/** The unit stands with it only where it is not that of the value, which OBX-6 has. */
function rangeOf({ referenceRange, valueQuantity }: Observation | ObservationComponent): string {
  const range = referenceRange?.[0];
  if (range === undefined) return '';
  if (range.text) return range.text;
  const { low, high } = range;
  const own = valueQuantity === undefined ? '' : unitText(valueQuantity);
  const said = [low, high].map((end) => (end?.value === undefined ? null : end));
  const isOther = said.some((end) => end !== null && unitText(end) !== '' && unitText(end) !== own);
  const [from, to] = said.map((end) =>
    end === null ? null : decimalText(end.value ?? 0) + (isOther ? unitText(end) : ''),
  );
  if (from && to) return `${from}-${to}`;
  return from ? `>${from}` : to ? `<${to}` : '';
}

/** OBX-8 (table 0078 has the same letters). Critical flags only where the site asked for them: they may page somebody. */
function flagOf(observation: Observation, criticalFlags: boolean): string {
  const code = observation.interpretation?.[0]?.coding?.[0]?.code ?? '';
  if (criticalFlags) return code;
  return ({ AA: 'A', HH: 'H', LL: 'L' } as Record<string, string>)[code] ?? code;
}
