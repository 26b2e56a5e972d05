import type { CodeableConcept, DiagnosticReport, Identifier, Reference } from '@medplum/fhirtypes';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { type Place, valuesAt } from './accession-places.ts';
import {
  cweToConcept,
  eiToIdentifier,
  mapRepetitions,
  plain,
  type SenderContext,
} from './datatype-to-fhir.ts';
import { obxToObservation, type ReportedObservation } from './obx-to-observation.ts';
import { withNumbers } from './open-record.ts';
import { formsOf, isLeftOut, lineAsText, type ResultLine, readLine, textOf } from './result-lines.ts';
import { REPORT_STATUSES } from './result-status.ts';

/** One OBR with its OBX, as resources without ids. */
export interface ReportedResult {
  readonly report: Omit<DiagnosticReport, 'subject' | 'result'>;
  readonly observations: readonly { readonly key: string; readonly observation: ReportedObservation }[];
  /** OBR-3, as its sender wrote it: by it our own results are known again. */
  readonly filler: { readonly value: string; readonly namespace: string };
  /** From OBX lines that name it; ''. */
  readonly studyInstanceUid: string;
  /** OBR-25 A over lines that are all final: some of the results, or, after the final report, an addendum. */
  readonly mayBeAddendum: boolean;
  readonly flags: readonly string[];
}

/** ORU^R01 → its reports (v2-to-FHIR, segment maps OBR and OBX). Throws `hl7.missing` or `hl7.value`. */
export function oruToReports(
  message: Hl7Message,
  context: SenderContext,
  places: readonly Place[],
): ReportedResult[] {
  const groups = groupsOf(message);
  if (groups.length === 0)
    throw wrong('hl7.missing', 'OBR', 'The message holds no report: send at least one OBR segment.');
  return joined(groups).map((group) => toResult(group, { ...context, places }));
}

function groupsOf(message: Hl7Message): Group[] {
  const groups: Group[] = [];
  let orc: Hl7Segment | undefined;
  // What stands between an ORC and its OBR is of the order (2.8: a document of it), and no result.
  let between: Hl7Segment[] = [];
  const settle = () => {
    if (orc === undefined || !between.some(({ name }) => name === 'OBX')) return;
    const place = groups.length + 1;
    groups.push(withLateOrc(groups.pop(), orc, place, between));
  };
  for (const segment of message.segments) {
    const last = groups.at(-1);
    if (segment.name === 'ORC') {
      settle();
      const isLate = last !== undefined && isLateOrc(last, segment);
      if (isLate) groups[groups.length - 1] = { ...last, orc: segment };
      orc = isLate ? undefined : segment;
      between = [];
    } else if (segment.name === 'OBR') {
      groups.push({ ...(orc ? { orc } : {}), obr: segment, at: groups.length, rest: [], joined: [] });
      orc = undefined;
    } else if (orc === undefined) last?.rest.push(segment);
    else between.push(segment);
  }
  settle();
  return groups;
}

/** Some write OBR, ORC, OBX: the ORC names the order of the OBR before it, which has none yet and no results. */
function isLateOrc({ orc, obr, rest }: Group, late: Hl7Segment): boolean {
  if (orc !== undefined || rest.some(({ name }) => name === 'OBX')) return false;
  return [2, 3].some(
    (field) => plain(late.get(field)) !== '' && plain(late.get(field)) === plain(obr.get(field)),
  );
}

/** Throws `hl7.missing` for results under the ORC of another order, whose OBR was left out: they must not be lost, nor count for the order before. */
function withLateOrc(
  group: Group | undefined,
  orc: Hl7Segment,
  place: number,
  lines: readonly Hl7Segment[],
): Group {
  const isOfGroup = [2, 3].every((field) => {
    const [late, own] = [orc, group?.obr].map((one) => plain(one?.get(field)));
    return late === '' || own === '' || late === own;
  });
  if (group && isOfGroup) return { ...group, orc: group.orc ?? orc, rest: [...group.rest, ...lines] };
  throw wrong(
    'hl7.missing',
    `OBR^${place}`,
    'Results stand under an ORC without OBR: send its OBR before them.',
  );
}

interface Group {
  readonly orc?: Hl7Segment;
  readonly obr: Hl7Segment;
  /** Place of the OBR in the message. */
  readonly at: number;
  readonly rest: Hl7Segment[];
  /** Later OBR under the same number, with their lines. */
  readonly joined: Group[];
}

/** Each number is compared with all others and looked up; a report over several exams has a handful. */
export const PARTS_WITH_NUMBERS_MAX = 100;
export const NUMBER_REPEATED = 'report-number-repeated';
export const LINE_LEFT_OUT = 'result-line-left-out';

/** Several OBR under one number are parts of one report: apart, each would be a version of it that takes the place of the one before. */
function joined(groups: readonly Group[]): Group[] {
  const first = new Map<string, Group>();
  return groups.filter((group) => {
    const number = numberOf(group);
    const known = number === '' ? undefined : first.get(number);
    if (known === undefined) first.set(number, group);
    else known.joined.push(group);
    return known === undefined;
  });
}

function numberOf({ orc, obr }: Group): string {
  const of = (field: number) =>
    [obr, orc].flatMap((one) => {
      const parts = [1, 2, 3].map((n) => plain(one?.get(field, n)));
      return parts[0] ? [`${field} ${parts.join('^')}`] : [];
    })[0];
  return of(3) ?? of(2) ?? '';
}

/** The furthest status of its parts: where one of them is final, a person stands for the report. */
const FURTHEST = [
  'corrected',
  'final',
  'preliminary',
  'partial',
  'registered',
  'unknown',
  'cancelled',
] as const;

function statusOfAll(parts: readonly Group[]): ReturnType<typeof statusOf> {
  const all = parts.map(({ obr, at, rest }) => statusOf(obr, linesOf(rest), at));
  const status = FURTHEST.find((one) => all.some((part) => part.status === one)) ?? 'unknown';
  const repeated = parts.length > 1 ? [NUMBER_REPEATED] : [];
  return { status, flags: [...new Set([...all.flatMap(({ flags }) => flags), ...repeated])] };
}

const linesOf = (rest: readonly Hl7Segment[]): ResultLine[] =>
  rest.flatMap((segment) => (segment.name === 'OBX' ? [readLine(segment)] : []));

/** With the places where the site's accession number stands. */
type ResultContext = SenderContext & { readonly places: readonly Place[] };

function toResult(group: Group, context: ResultContext): ReportedResult {
  const { orc, obr, at } = group;
  const parts = [group, ...group.joined];
  const rest = parts.flatMap((part) => part.rest);
  const identifier = withNumbers(
    numbersOf(group, context),
    group.joined.slice(0, PARTS_WITH_NUMBERS_MAX).flatMap((part) => numbersOf(part, context)),
  );
  if (!identifier.some((one) => ['FILL', 'PLAC'].includes(one.type?.coding?.[0]?.code ?? '')))
    throw wrong('hl7.missing', `OBR^${at + 1}^3`, 'A report has no number: send OBR-3, or OBR-2.');
  const lines = linesOf(rest);
  const { status, flags } = parts.length > 1 ? statusOfAll(parts) : statusOf(obr, lines, at);
  const studyInstanceUid = lines.find(({ studyUid }) => studyUid !== '')?.studyUid ?? '';
  const studyNumbers = studyInstanceUid
    ? [{ system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${studyInstanceUid}` }]
    : [];
  const time = (text: string | undefined) => timestampToDateTime(plain(text), context.timeZone);
  const [start, end, issued] = [time(obr.get(7)), time(obr.get(8)), instant(time(obr.get(22)))];
  const interpreters = personsOf(obr, context);
  const conclusion = textOf(lines.filter((line) => line.isImpression));
  const observations = observationsOf(lines, context);
  const presentedForm = formsOf(observations === null ? lines.map(lineAsText) : lines, rest);
  const category = plain(obr.get(24));
  const report: ReportedResult['report'] = {
    resourceType: 'DiagnosticReport',
    identifier: [...identifier, ...studyNumbers],
    status,
    ...(category ? { category: [{ coding: [{ system: CODE_SYSTEMS.v2Diagnostic, code: category }] }] } : {}),
    code: cweToConcept(obr.repetitions(4)[0]) ?? UNNAMED_REPORT,
    ...(start && end ? { effectivePeriod: { start, end } } : start ? { effectiveDateTime: start } : {}),
    ...(issued ? { issued } : {}),
    ...(interpreters.length > 0 ? { resultsInterpreter: interpreters } : {}),
    ...(conclusion ? { conclusion } : {}),
    ...(presentedForm.length > 0 ? { presentedForm } : {}),
  };
  const filler = { value: plain(obr.get(3)) || plain(orc?.get(3)), namespace: plain(obr.get(3, 2)) };
  const asText = observations === null ? [RESULTS_AS_TEXT] : [];
  return {
    ...{ report, filler, studyInstanceUid },
    mayBeAddendum:
      plain(obr.get(25)).toUpperCase() === 'A' && areFinal(lines.filter((one) => one.studyUid === '')),
    observations: observations ?? [],
    flags: [...flags, ...asText, ...(lines.some(isLeftOut) ? [LINE_LEFT_OUT] : [])],
  };
}

const UNNAMED_REPORT: CodeableConcept = { text: 'Report' };

/** Filler number first, for by it a report is known; then placer and accession, by which it finds its order. */
function numbersOf({ orc, obr, rest }: Group, context: ResultContext): Identifier[] {
  const number = (field: number, kind: 'placer' | 'filler', type: string) =>
    [obr, orc].map((one) => eiToIdentifier(one?.repetitions(field)[0], kind, type, context));
  const segments = [...(orc ? [orc] : []), obr, ...rest.filter(({ name }) => name === 'ZDS')];
  const [accession = ''] = context.places.flatMap((place) => valuesAt(place, segments));
  const all = [...number(3, 'filler', 'FILL'), ...number(2, 'placer', 'PLAC')].filter((one) => one !== null);
  if (accession !== '') {
    const type = { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'ACSN' }] };
    all.push({ type, system: STUDY_NUMBER_SYSTEMS.accession, value: accession });
  }
  return all.filter(
    (one, at) => all.findIndex((other) => other.system === one.system && other.value === one.value) === at,
  );
}

/**
 * OBR-25. Where it is empty, lines that are all final or corrected make a final report; else nobody can say. A code that is no result status is
 * refused: a report of unknown worth under a known name would be believed.
 */
function statusOf(
  obr: Hl7Segment,
  lines: readonly ResultLine[],
  at: number,
): { status: DiagnosticReport['status']; flags: string[] } {
  const code = plain(obr.get(25)).toUpperCase();
  if (code === '') {
    return areFinal(lines)
      ? { status: 'final', flags: ['status-from-lines'] }
      : { status: 'unknown', flags: ['status-unknown'] };
  }
  const status = REPORT_STATUSES[code];
  if (status) return { status, flags: [] };
  throw wrong(
    'hl7.value',
    `OBR^${at + 1}^25`,
    'OBR-25 is no result status: send P, F, C or X of table 0123.',
  );
}

const areFinal = (lines: readonly ResultLine[]) =>
  lines.length > 0 && lines.every(({ status }) => ['F', 'C', 'U'].includes(status));

/** OBR-32: NDL, whose first component is the person with his parts as subcomponents; older senders write an XCN. */
function personsOf(
  obr: Hl7Segment,
  context: SenderContext,
): NonNullable<DiagnosticReport['resultsInterpreter']> {
  return mapRepetitions(obr, 32, (one): Reference | null => {
    const asXcn = plain(one.get(1, 2)) === '' && plain(one.get(1, 3)) === '';
    if (asXcn) return xcnToReference(one, context.facility);
    const [value, family, given] = [1, 2, 3].map((at) => plain(one.get(1, at)));
    const display = [given, family].filter((part) => part).join(' ');
    return { ...(value ? { identifier: { value } } : {}), ...(display ? { display } : {}) };
  }) as NonNullable<DiagnosticReport['resultsInterpreter']>;
}

/**
 * Each coded result becomes a resource, written in the transaction that files the message. A report of more is filed as text: its sender has been told AA, and a
 * final report that is not in the record would stop no late preliminary result.
 */
export const RESULTS_MAX = 10_000;
export const RESULTS_AS_TEXT = 'results-as-text';

/** The same code under the same sub-id is the same line in every version of the report. Null for more than `RESULTS_MAX`. */
function observationsOf(
  lines: readonly ResultLine[],
  context: SenderContext,
): ReportedResult['observations'] | null {
  const seen = new Map<string, number>();
  const all: { readonly key: string; readonly observation: ReportedObservation }[] = [];
  for (const { obx } of lines) {
    const observation = obxToObservation(obx, context);
    if (observation === null) continue;
    if (all.length === RESULTS_MAX) return null;
    const line = `${plain(obx.get(3))}|${plain(obx.get(3, 3))}|${plain(obx.get(4))}`;
    const times = (seen.get(line) ?? 0) + 1;
    seen.set(line, times);
    all.push({ key: `${line}|${times}`, observation });
  }
  return all;
}

/** FHIR's instant has a time and a zone, or it is left out. */
const instant = (dateTime: string | null) => (dateTime?.includes('T') ? dateTime : null);

function wrong(code: 'hl7.missing' | 'hl7.value', at: string, text: string): Failure {
  return new Failure(code, text, {
    issues: [{ at, text: code === 'hl7.missing' ? 'is missing' : 'cannot be used' }],
  });
}
