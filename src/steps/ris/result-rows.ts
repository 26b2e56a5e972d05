import type { Device, Observation, ObservationComponent, Quantity } from '@medplum/fhirtypes';
import type { Field, Repetition, Row } from '../../hl7/codec.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { conceptToCwe, decimalText } from './fhir-to-datatype.ts';
import type { OruInput } from './oru-input.ts';
import { type ReportStatus } from './report-status.ts';
import { PDF_CHARACTERS_MAX } from './ris-profile.ts';

/**
 * The OBX segments of a result: the study, then text, then each finding. A finding's OBX share one OBX-4; ids and order follow
 * the report's `result`, so that a later version names the same lines.
 */
export function resultRows(input: OruInput, status: ReportStatus): Row[] {
  const findings = status.withResults ? input.observations : [];
  const coded = input.profile.codedResults ? findings : [];
  const lines = [status.banner, ...(status.withResults ? conclusionLines(input) : [])];
  if (!input.profile.codedResults) lines.push(...findings.map(findingText));
  const rows = [
    ...studyRows(input),
    ...textRows(lines, input, status),
    ...coded.flatMap((observation, at) => findingRows(observation, String(at + 2), input, status)),
    ...(status.withResults ? pdfRows(input, status) : []),
  ];
  const numbered = (at: number) =>
    String(rows.slice(0, at + 1).filter((row) => row.segment === 'OBX').length);
  return rows.map((row, at) =>
    row.segment === 'OBX' ? { ...row, fields: { ...row.fields, 1: numbered(at) } } : row,
  );
}

interface Obx {
  readonly type: string;
  readonly code: Field;
  readonly sub?: string;
  readonly value: Field;
  readonly units?: Field;
  readonly range?: string;
  readonly flag?: string;
  readonly status: string;
  readonly time?: string;
  readonly device?: Device;
}

function obx(one: Obx, input: OruInput): Row {
  return {
    segment: 'OBX',
    fields: {
      2: one.type,
      3: one.code,
      4: one.sub ?? '',
      5: one.value,
      6: one.units ?? '',
      7: one.range ?? '',
      8: one.flag ?? '',
      11: one.status,
      14: dateTimeToTimestamp(one.time, input.profile),
      ...(one.device ? deviceFields(one.device, input) : {}),
    },
  };
}

/** Study Instance UID with status O: it is no result and not for reading. */
function studyRows(input: OruInput): Row[] {
  const { studyUid } = input.profile;
  const identifier = input.imagingStudy.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.dicomUid);
  if (studyUid === 'none' || identifier?.value === undefined) return [];
  const uid = identifier.value.replace(/^urn:oid:/, '');
  const value = studyUid === 'HD' ? ['', uid, 'ISO'] : uid;
  return [obx({ type: studyUid, code: ['113014', 'DICOM Study', 'DCM'], value, status: 'O' }, input)];
}

function textRows(lines: readonly string[], input: OruInput, status: ReportStatus): Row[] {
  const text = { code: sectionCode(input), sub: '1', status: status.observation, time: input.report.issued };
  switch (input.profile.narrative) {
    case 'TX-repetitions':
      return [obx({ ...text, type: 'TX', value: { repetitions: lines } }, input)];
    case 'FT':
      return [obx({ ...text, type: 'FT', value: [{ formatted: lines.join('\\.br\\') }] }, input)];
    case 'NTE':
      return lines.map((line, at) => ({ segment: 'NTE', fields: { 1: String(at + 1), 2: 'L', 3: line } }));
    default:
      return lines.map((line) => obx({ ...text, type: 'TX', value: line }, input));
  }
}

/** LOINC 19005-8, or the order's code with the chapter 7 suffix for an impression. */
function sectionCode(input: OruInput): Repetition {
  const ordered = (input.serviceRequest?.code ?? input.report.code).coding?.[0];
  if (input.profile.sectionCodes === 'LOINC' || ordered?.code === undefined) {
    return ['19005-8', 'Radiology Imaging study [Impression]', 'LN'];
  }
  return [{ subcomponents: [ordered.code, 'IMP'] }, ordered.display ?? ''];
}

function findingRows(observation: Observation, sub: string, input: OruInput, status: ReportStatus): Row[] {
  const { profile } = input;
  const code = conceptToCwe(observation.code, profile);
  const time = observation.effectiveDateTime ?? input.report.effectiveDateTime;
  const shared = { sub, status: status.observation, device: input.device, ...(time ? { time } : {}) };
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

/** An embedded PDF, where the report has one and the receiver takes it. */
function pdfRows(input: OruInput, status: ReportStatus): Row[] {
  const { pdf, sendingApplication } = input.profile;
  const data = input.report.presentedForm?.find((form) => form.contentType === 'application/pdf')?.data;
  if (pdf === 'none' || data === undefined || data.length > PDF_CHARACTERS_MAX) return [];
  const value = [sendingApplication, ...pdf.split('^'), 'Base64', data];
  const code = ['11528-7', 'Radiology Report', 'LN'];
  return [obx({ type: 'ED', code, value, status: status.observation }, input)];
}

function deviceFields(device: Device, input: OruInput): Row['fields'] {
  const name = device.deviceName?.[0]?.name ?? '';
  const version = device.version?.[0]?.value ?? '';
  const id = device.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.model)?.value ?? '';
  return { 17: [id, `${name} ${version}`.trim(), '99PRELIM'], 18: [id, input.profile.sendingApplication] };
}

/** The report's own words, without the sentence on its state that the banner says already, and rightly for every status. */
const conclusionLines = (input: OruInput) =>
  (input.report.conclusion ?? '')
    .replace(/^Preliminary AI result\. Not reviewed by a radiologist\.\s*/i, '')
    .split(/\r\n|\r|\n/)
    .filter((line) => line.trim() !== '');

function findingText(observation: Observation): string {
  const name = observation.code.text ?? observation.code.coding?.[0]?.display ?? '';
  const { valueQuantity: quantity, valueCodeableConcept: concept } = observation;
  if (quantity?.value !== undefined)
    return `${name}: ${quantity.comparator ?? ''}${decimalText(quantity.value)} ${quantity.code ?? ''}`.trim();
  const score = componentOf(observation, 'score')?.valueQuantity?.value;
  const presence = concept?.text ?? concept?.coding?.[0]?.display ?? '';
  return `${name}: ${presence}${score === undefined ? '' : ` (score ${decimalText(score)})`}`;
}

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
