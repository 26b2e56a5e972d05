import { compareUrgency } from '../urgency.ts';
import type { WorklistRow } from '../worklist-row.ts';
import { STATUS_WORDS } from './say-row.ts';

/** Rows by id: what the page knows. */
export type RowMap = ReadonlyMap<string, WorklistRow>;

export const toRowMap = (rows: readonly WorklistRow[]): RowMap => new Map(rows.map((row) => [row.id, row]));

export const withRow = (rows: RowMap, row: WorklistRow): RowMap => new Map(rows).set(row.id, row);

export function withoutRow(rows: RowMap, id: string): RowMap {
  const next = new Map(rows);
  next.delete(id);
  return next;
}

/** The rows that have every word of the filter, most urgent first. */
export function chooseRows(rows: RowMap, filter: string): readonly WorklistRow[] {
  const words = fold(filter)
    .split(/\s+/)
    .filter((word) => word !== '');
  const chosen =
    words.length === 0 ? [...rows.values()] : [...rows.values()].filter((row) => hasAll(row, words));
  return chosen.sort(compareUrgency);
}

/** The id that is `step` rows from `id`; the first row when nothing was selected. Stops at both ends. */
export function moveFrom(rows: readonly WorklistRow[], id: string | null, step: number): string | null {
  if (rows.length === 0) return null;
  const at = rows.findIndex((row) => row.id === id);
  if (at === -1) return rows[0]?.id ?? null;
  return rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.id ?? null;
}

/** Other analyses of the study of `row`. */
export function sameStudy(rows: RowMap, row: WorklistRow | undefined): readonly WorklistRow[] {
  if (row === undefined || row.exam.id === null) return [];
  return [...rows.values()].filter((other) => other.exam.id === row.exam.id && other.id !== row.id);
}

function hasAll(row: WorklistRow, words: readonly string[]): boolean {
  const text = fold(
    [
      row.patient.name,
      row.patient.mrn,
      row.exam.description,
      row.exam.modality,
      row.order.accession,
      row.order.matched ? '' : 'no order',
      row.model?.id,
      STATUS_WORDS[row.status],
      row.urgency.word,
      ...row.urgency.reasons.map((reason) => reason.text),
      ...row.findings.filter((finding) => finding.presence !== 'absent').map((finding) => finding.label),
      ...row.refusals.map((refusal) => refusal.rule),
    ].join('\n'),
  );
  return words.every((word) => text.includes(word));
}

/** Lower case without accents, so that `muller` finds `Müller`. */
const fold = (text: string) =>
  text
    .normalize('NFD')
    .replace(/\p{Diacritic}/gu, '')
    .toLowerCase();
