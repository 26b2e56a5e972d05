import { type BuiltMessage, buildMessage, inCharset, type Row } from '../../hl7/codec.ts';
import { headRows, noteRow, studyNumbers } from './head-rows.ts';
import { lineIdsOf } from './line-ids.ts';
import { isSameContent, markChanges } from './mark-changes.ts';
import type { LineIds, OruInput } from './oru-input.ts';
import { overrideFields } from './override-fields.ts';
import { type Correction, type ReportStatus, reportStatus } from './report-status.ts';
import { resultRows } from './result-rows.ts';

/** A message, and what its row in the log says of it. */
export interface OruMessage extends BuiltMessage {
  /** OBR-25. */
  readonly result: string;
  readonly lineIds: LineIds;
  readonly mrn: string;
  readonly accession: string;
  readonly placer: string;
  /** What the record has and the profile leaves out, in words without patient data. */
  readonly leftOut: readonly string[];
}

/**
 * The record → ORU^R01 (v2.5.1 chapter 7; IHE Results Distribution RAD-128). Always the whole result, never a change:
 * a receiver that missed a version is right again with the next. With `previous` the letters say what changed since (table 0085: C, D), and lines keep
 * their OBX-4. Throws `ris.not-sendable` for a record that makes no message.
 */
export function reportToOru(given: OruInput): OruMessage {
  const input = comparable(given);
  const { report, previous } = input;
  const first = build(input, null);
  const correction = correctionOf(input, first.bytes);
  const built = correction === null ? first : build(input, correction);
  const status = built.status;
  const marked = markChanges(built.bytes, previous?.raw ?? null, {
    correction: correction === 'after-final' || status.result === 'C',
    allLines: input.profile.correctedLines === 'all',
    withdrawn: withdrawnLetter(input, report.status === 'entered-in-error'),
    trailingSeparator: input.profile.trailingSeparator,
  });
  const numbers = studyNumbers(input);
  return {
    bytes: marked,
    unmapped: built.unmapped,
    result: status.result,
    lineIds: built.lineIds,
    leftOut: built.leftOut,
    ...numbers,
  };
}

/** The segments before the results, as a message would have them now: the numbers that a receiver finds it by, after every override. Throws as `reportToOru`. */
export function headOfOru(input: OruInput): Buffer {
  const { report, profile } = input;
  const rows = headRows(input, reportStatus(report.status, profile));
  return buildMessage(overrideFields(rows, profile, templateValues(input)).rows, {
    charset: profile.charset,
    replacement: profile.replacement,
  }).bytes;
}

/** The message before in the character set that the profile names now: a site may have changed it in between. */
function comparable(input: OruInput): OruInput {
  const { previous, profile } = input;
  if (previous === undefined) return input;
  const raw = inCharset(previous.raw, profile.charset, profile.replacement);
  return { ...input, previous: { ...previous, raw } };
}

interface Built extends BuiltMessage {
  readonly status: ReportStatus;
  readonly lineIds: LineIds;
  readonly leftOut: readonly string[];
}

function build(input: OruInput, correction: Correction): Built {
  const { profile, report, observations, previous } = input;
  const status = reportStatus(report.status, profile, correction);
  const lineIds = lineIdsOf(observations, previous?.lineIds ?? {});
  const { rows: results, leftOut } = resultRows(input, status, lineIds);
  const rows: Row[] = [...headRows(input, status), ...results, noteRow(input)];
  const changed = overrideFields(rows, profile, templateValues(input));
  const message = buildMessage(changed.rows, {
    charset: profile.charset,
    replacement: profile.replacement,
    trailingSeparator: profile.trailingSeparator,
    finalCarriageReturn: profile.finalCarriageReturn,
  });
  return { ...message, status, lineIds, leftOut: [...leftOut, ...changed.leftOut] };
}

/** Does this message correct an earlier one? A final version that says the same as the last says it again, as F. */
function correctionOf({ report, previous, profile }: OruInput, bytes: Buffer): Correction {
  if (previous === undefined) return null;
  const isSame = () => isSameContent(bytes, previous.raw, profile.narrative);
  if (report.status === 'final')
    return ['F', 'C'].includes(previous.result) && !isSame() ? 'after-final' : null;
  if (report.status === 'preliminary') return isSame() ? null : 'before-final';
  return null;
}

/** OBX-11 of lines that the receiver has and the record has no more; null: they are not said again. */
function withdrawnLetter({ report, profile }: OruInput, isError: boolean): 'D' | 'W' | null {
  if (report.status === 'cancelled' || profile.withdrawnLines === 'omit') return null;
  return isError ? 'W' : 'D';
}

function templateValues(input: OruInput): Record<string, string> {
  const { mrn, accession, placer } = studyNumbers(input);
  const visit = input.encounter?.identifier?.find((one) => one.type?.coding?.[0]?.code === 'VN')?.value ?? '';
  return {
    mrn,
    accession,
    placer,
    visit,
    filler: studyNumbers(input).filler,
    studyUid: studyNumbers(input).studyUid,
    reportId: input.report.id ?? '',
  };
}
