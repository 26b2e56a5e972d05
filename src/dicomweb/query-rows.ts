import type { DicomJson } from '../dicom/study-source.ts';
import { Failure } from '../kernel/errors.ts';
import type { ClientAnswer } from './dicomweb-client.ts';

/** Servers cap a page at 200 (Azure) or more; asking for more than a server gives is refused by some. */
export const QIDO_PAGE_ROWS = 200;
/** More rows than any look needs: two days of a large hospital, or the largest study. */
export const QIDO_ROWS_MAX = 50_000;

export interface RowQuery {
  /** One page of the query. */
  readonly page: (limit: number, offset: number) => Promise<ClientAnswer>;
  /** What makes a row the same row again; undefined for a row that is none. */
  readonly uid: (row: DicomJson) => string | undefined;
  /** Does the row fit the filter asked for? Some servers take a filter and do not use it. */
  readonly fits: (row: DicomJson) => boolean;
}

/**
 * Every row of a query, once. New studies shift the pages of a server that sorts newest first, so rows are told apart by
 * UID; a page that brings nothing new is the end, also where a server ignores `offset`. Throws `dicomweb.answer` for rows
 * that are no DICOM JSON and `dicomweb.too-large` past `QIDO_ROWS_MAX`.
 */
export async function queryRows(query: RowQuery): Promise<Map<string, DicomJson>> {
  const seen = new Map<string, DicomJson>();
  const fitting = new Map<string, DicomJson>();
  for (let offset = 0; ; ) {
    const rows = dicomJsonRows(await query.page(QIDO_PAGE_ROWS, offset));
    const before = seen.size;
    for (const row of rows) {
      const uid = query.uid(row);
      if (uid === undefined)
        throw new Failure('dicomweb.answer', 'A row of the answer of the PACS has no usable UID.');
      if (!seen.has(uid) && query.fits(row)) fitting.set(uid, row);
      seen.set(uid, row);
    }
    if (seen.size === before) return fitting;
    if (seen.size > QIDO_ROWS_MAX) {
      throw new Failure(
        'dicomweb.too-large',
        `The PACS gives more than ${QIDO_ROWS_MAX} rows. Lower STUDY_LOOK_BACK_HOURS.`,
      );
    }
    offset += rows.length;
  }
}

/** The rows of one answer: none for 204, else an array of data sets. */
export function dicomJsonRows(answer: ClientAnswer): DicomJson[] {
  if (answer.status === 204) return [];
  if (!Array.isArray(answer.body) || !answer.body.every(isDataSet)) {
    throw new Failure(
      'dicomweb.answer',
      'The PACS answers with something other than a list of DICOM JSON data sets.',
    );
  }
  return answer.body as DicomJson[];
}

function isDataSet(row: unknown): boolean {
  return typeof row === 'object' && row !== null && !Array.isArray(row);
}
