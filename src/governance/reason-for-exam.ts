import type { CodeableConcept, ServiceRequest } from '@medplum/fhirtypes';

/** Longest text taken over: a reason is a phrase; a whole letter in this field would push the findings out of sight. */
export const REASON_CHARACTERS_MAX = 200;

/** What an order gives as its reasons: codes (OBR-31), then the diagnoses that came with it (DG1), whose text stands with the link to them. */
export const reasonsOf = (order: ServiceRequest | null | undefined): CodeableConcept[] => [
  ...(order?.reasonCode ?? []),
  ...(order?.reasonReference ?? []).flatMap(({ display }) => (display ? [{ text: display }] : [])),
];

/** Why the exam was asked for: as ordered (`reasonsOf`), else as the images say it (0040,100A and 0040,1002). null where nobody says. */
export function reasonForExam(
  ordered: readonly CodeableConcept[],
  ofStudy: readonly CodeableConcept[] | undefined,
): string | null {
  const texts = (concepts: readonly CodeableConcept[]) =>
    concepts.flatMap(({ text, coding }) => {
      const words = text ?? coding?.find(({ display }) => display)?.display ?? '';
      // Line ends would begin a new line of the message to the RIS.
      const line = words.replace(/[\s\p{Cc}]+/gu, ' ').trim();
      return line === '' ? [] : [line];
    });
  const own = texts(ordered);
  const all = [...new Set(own.length > 0 ? own : texts(ofStudy ?? []))].join('; ');
  if (all === '') return null;
  return all.length > REASON_CHARACTERS_MAX ? `${all.slice(0, REASON_CHARACTERS_MAX - 1)}…` : all;
}
