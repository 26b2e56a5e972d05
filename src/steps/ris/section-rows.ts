import type { Observation } from '@medplum/fhirtypes';
import type { Repetition, Row } from '../../hl7/codec.ts';
import { valueText } from './observation-values.ts';
import { obx } from './obx-row.ts';
import type { OruInput } from './oru-input.ts';
import type { SectionName } from './profile-settings.ts';
import type { ReportStatus } from './report-status.ts';
import { splitLines, textValues } from './text-values.ts';

/**
 * The text of a result, section by section. The first line of the first section says what the result is worth: nobody may rely on the letter alone. A withdrawn
 * result is that line and nothing else.
 */
export function sectionRows(input: OruInput, status: ReportStatus): Row[] {
  const names = status.withResults ? input.profile.sections : input.profile.sections.slice(0, 1);
  const sections = names
    .map((name) => ({ name, lines: status.withResults ? linesOf(name, input) : [] }))
    .filter(({ lines }, at) => at === 0 || lines.length > 0);
  const numbered = sections.flatMap(({ name, lines }, at) =>
    textRows(at === 0 ? [status.banner, ...lines] : lines, name, input, status),
  );
  let note = 0;
  return numbered.map((row) => {
    if (row.segment !== 'NTE') return row;
    note += 1;
    return { ...row, fields: { ...row.fields, 1: String(note) } };
  });
}

function linesOf(name: SectionName, input: OruInput): string[] {
  const { profile, observations, report } = input;
  if (name === 'findings') return observations.filter(isSaid).flatMap(findingText);
  if (name === 'report') return textForm(input);
  const lines = splitLines(
    (report.conclusion ?? '').replace(/^Preliminary AI result\. Not reviewed by a radiologist\.\s*/i, ''),
  );
  // Findings that stand nowhere else are lines of the impression.
  const elsewhere = profile.codedResults || profile.sections.includes('findings');
  return elsewhere ? lines : [...lines, ...observations.filter(isSaid).flatMap(findingText)];
}

/** A finding that was taken back is no line of text. */
const isSaid = (observation: Observation): boolean =>
  observation.status !== 'entered-in-error' && observation.status !== 'cancelled';

/** The report as its author formatted it, where it has a plain text form. */
function textForm({ report }: OruInput): string[] {
  const form = report.presentedForm?.find((one) => /^text\/plain\b/i.test(one.contentType ?? ''));
  return form?.data === undefined ? [] : splitLines(decoded(form.data, form.contentType ?? ''));
}

/** By the character set that its media type names; UTF-8 where it names none, or one that nobody knows. */
function decoded(data: string, contentType: string): string {
  const bytes = Buffer.from(data, 'base64');
  const label = /;\s*charset="?([^";\s]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    return bytes.toString('utf8');
  }
}

function textRows(lines: readonly string[], name: SectionName, input: OruInput, status: ReportStatus): Row[] {
  const text = {
    code: sectionCode(name, input),
    sub: '1',
    status: status.observation,
    ...(input.report.issued ? { time: input.report.issued } : {}),
  };
  const { narrative } = input.profile;
  if (narrative === 'NTE') return lines.map((line) => ({ segment: 'NTE', fields: { 2: 'L', 3: line } }));
  return textValues(lines, narrative).map((value) => obx({ ...text, ...value }, input));
}

/** LOINC codes of the sections; chapter 7 suffixes of the order's code; or the words of RAD-28. */
function sectionCode(name: SectionName, { profile, serviceRequest, report }: OruInput): Repetition {
  if (profile.sectionCodes === 'SR Text') return ['', 'SR Text'];
  const ordered = (serviceRequest?.code ?? report.code).coding?.[0];
  if (profile.sectionCodes === 'LOINC' || ordered?.code === undefined) return [...SECTIONS[name].loinc, 'LN'];
  const suffix = SECTIONS[name].suffix;
  const code = suffix === '' ? ordered.code : { subcomponents: [ordered.code, suffix] };
  return [code, ordered.display ?? ''];
}

const SECTIONS: Readonly<Record<SectionName, { loinc: readonly [string, string]; suffix: string }>> = {
  impression: { loinc: ['19005-8', 'Radiology Imaging study [Impression]'], suffix: 'IMP' },
  findings: { loinc: ['18782-3', 'Radiology Study observation (narrative)'], suffix: 'GDT' },
  report: { loinc: ['11528-7', 'Radiology Report'], suffix: '' },
};

/** One line, or more where the value is a text of several. */
function findingText(observation: Observation): string[] {
  const name = observation.code.text ?? observation.code.coding?.[0]?.display ?? '';
  const parts = (observation.component ?? []).filter(({ code }) => !isPart(code, 'threshold'));
  const beside = parts.flatMap((part) => {
    const value = valueText(part);
    const what = part.code.text ?? part.code.coding?.[0]?.display ?? part.code.coding?.[0]?.code ?? '';
    if (value === '') return [];
    return isPart(part.code, 'score') ? `score ${value}` : `${what} ${value}`;
  });
  const value = [valueText(observation), beside.length > 0 ? `(${beside.join(', ')})` : ''];
  return splitLines(`${name}: ${value.filter((part) => part !== '').join(' ')}`.trim());
}

const isPart = ({ coding }: Observation['code'], name: string): boolean =>
  coding?.some(({ code }) => code === name) === true;
