import type { List } from '@medplum/fhirtypes';
import { PRELIM } from '../kernel/code-systems.ts';

/** Code of the List (with the id of the ImagingStudy) of earlier studies that the PACS has and nobody analysed. */
export const PRIOR_STUDIES_CODE = {
  system: `${PRELIM}/CodeSystem/list`,
  code: 'prior-studies-not-analysed',
  display: 'Prior studies that are not analysed',
} as const;

/** Said in the List where the record knows earlier studies and the PACS could not be asked for more. */
export const PACS_NOT_ASKED = 'The PACS did not answer: it is not known whether it has earlier studies.';

export interface RecordedPriorStudies {
  /** `CT 2019-03-04`, newest first. */
  readonly studies: readonly string[];
  /** false: the PACS did not answer, so it is not known whether there are any. */
  readonly asked: boolean;
}

/** What the List says; null for none. */
export function recordedPriorStudies(list: List | null): RecordedPriorStudies | null {
  if (list === null || !list.code?.coding?.some(({ code }) => code === PRIOR_STUDIES_CODE.code)) return null;
  const asked =
    !list.emptyReason?.coding?.some(({ code }) => code === 'unavailable') &&
    !list.note?.some(({ text }) => text === PACS_NOT_ASKED);
  return { studies: (list.entry ?? []).flatMap(({ item }) => item.display ?? []), asked };
}
