import type { RowFinding, RowStatus, WorklistRow } from '../worklist-row.ts';

/** Words and numbers as the page writes them. */

export const STATUS_WORDS: Readonly<Record<RowStatus, string>> = {
  waiting: 'Waiting',
  running: 'Running',
  preliminary: 'Preliminary',
  reviewed: 'Reviewed',
  refused: 'Refused',
  failed: 'Failed',
  retracted: 'Withdrawn',
};

/** `12 min`, `3 h 05`, `2 d 4 h`; null when the time is not known. */
export function sayWait(since: string | null, nowMs: number): string | null {
  const start = since === null ? Number.NaN : Date.parse(since);
  if (Number.isNaN(start)) return null;
  const minutes = Math.max(0, Math.floor((nowMs - start) / 60_000));
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, '0')}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** At most two decimals, but two digits of what is small: a threshold may be 0.0098. With a true minus. */
export function sayNumber(value: number): string {
  const size = Math.abs(value);
  const digits = size !== 0 && size < 0.1 ? size.toPrecision(2) : String(Number(size.toFixed(2)));
  return value < 0 ? `\u2212${digits}` : digits;
}

/** Two decimals, or two digits of what is small. */
export function sayScore(score: number): string {
  if (score > 0 && score < 0.0005) return '< 0.001';
  return score > 0 && score < 0.1 ? String(Number(score.toPrecision(2))) : score.toFixed(2);
}

export function sayValue(finding: RowFinding): string | null {
  if (finding.value === null) return null;
  const unit = finding.unit === null ? '' : `\u00a0${finding.unit}`;
  return `${sayNumber(finding.value)}${unit}`;
}

/** What the finding is, in one or two words: `present`, `12.4 %`. */
export function sayResult(finding: RowFinding): string {
  return sayValue(finding) ?? finding.presence ?? 'no value';
}

/** The number behind the result and what it was held against: `score 0.91, present from 0.5`. */
export function sayBasis(finding: RowFinding): string | null {
  if (finding.value !== null) {
    if (finding.threshold === null) return finding.abnormal ? 'outside the normal range' : null;
    const unit = finding.unit === null ? '' : `\u00a0${finding.unit}`;
    return `abnormal from\u00a0${sayNumber(finding.threshold)}${unit}`;
  }
  if (finding.score === null) return null;
  const from = finding.threshold === null ? '' : `, present from\u00a0${sayNumber(finding.threshold)}`;
  return `score ${sayScore(finding.score)}${from}`;
}

/** The same for the list, where a line is short: `score 0.91`. */
export function sayShortBasis(finding: RowFinding): string | null {
  return finding.value === null && finding.score !== null
    ? `score ${sayScore(finding.score)}`
    : sayBasis(finding);
}

/** Findings that speak for themselves in the list: everything but what is absent. */
export const telling = (row: WorklistRow): readonly RowFinding[] =>
  row.findings.filter((finding) => finding.presence !== 'absent').sort((a, b) => weight(a) - weight(b));

export const absent = (row: WorklistRow): readonly RowFinding[] =>
  row.findings.filter((finding) => finding.presence === 'absent');

function weight(finding: RowFinding): number {
  if (finding.actionable !== null) return finding.actionable;
  if (finding.presence === 'present' || finding.abnormal) return 4;
  return finding.presence === 'indeterminate' ? 5 : 6;
}

/** What the record says in a sentence, beside the rules of the gate: an earlier result was withdrawn, the PACS has the study no more. */
export const noticesOf = (row: WorklistRow): readonly string[] =>
  row.warnings.filter(({ rule }) => rule === null).map(({ text }) => text);

const SEXES: Readonly<Record<string, string>> = { female: 'F', male: 'M', other: 'other sex' };

/** `F · 64 y`, with words for what is not known. */
export function sayPerson(row: WorklistRow): string {
  const sex = row.patient.sex ?? '';
  return [Object.hasOwn(SEXES, sex) ? SEXES[sex] : 'sex unknown', row.patient.age ?? 'age unknown'].join(
    ' · ',
  );
}

export const sayName = (row: WorklistRow): string => row.patient.name ?? 'Unknown patient';

export const sayExam = (row: WorklistRow): string =>
  row.exam.description ?? (row.exam.modality ? `${row.exam.modality} exam` : 'Exam without a description');

/** Local date and time to the minute. */
export function sayTime(time: string | null): string | null {
  const date = time === null ? null : new Date(time);
  if (date === null || Number.isNaN(date.getTime())) return null;
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
