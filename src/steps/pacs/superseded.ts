import type { KnownObject, ObjectKind } from './pacs-object.store.ts';
import type { AnalysisKey } from './read-result-record.ts';
import { standing, uidsOfContent } from './standing.ts';

/** What the record says now, by kind of object. */
export interface SaidNow {
  readonly segmentation: readonly string[];
  readonly picture: readonly string[];
  /** Digests of a structured report that says it, whoever has seen it. Asked for only where no report is made. */
  reportDigests(): ReadonlySet<string>;
}

/**
 * What stands in the PACS and says what the record says no more, to be named by a rejection note (IHE IOCM): a mask of an analysis that was made again on other
 * pixels, because images came late; a picture with other findings below it. A structured report is superseded by the next, which names it as
 * its predecessor; only where the site wants none any more is it rejected, with those before it.
 */
export function superseded(
  now: SaidNow,
  earlier: readonly KnownObject[],
  wanted: ReadonlySet<ObjectKind>,
): KnownObject[] {
  const stands = standing(earlier);
  const oldest = (kind: ObjectKind, says: readonly string[]) => {
    const same = new Set(uidsOfContent(says, earlier));
    return stands.filter((one) => one.kind === kind && !same.has(one.sopInstanceUid));
  };
  const reports = stands.filter(({ kind }) => kind === 'sr');
  const latest = reports.at(-1);
  const isStale =
    latest && !wanted.has('sr') && !(latest.contentDigest && now.reportDigests().has(latest.contentDigest));
  return [...oldest('seg', now.segmentation), ...oldest('sc', now.picture), ...(isStale ? reports : [])];
}

/** What makes one segmentation another: the pixels the model was given. */
export const segmentationWords = ({ studyInstanceUid, model, inputsDigest }: AnalysisKey): string[] => [
  'seg',
  studyInstanceUid,
  model,
  inputsDigest,
];

/** A picture also says its findings. That a person has seen it changes nothing in it. */
export const pictureWords = (
  { studyInstanceUid, model, inputsDigest }: AnalysisKey,
  lines: readonly string[],
): string[] => ['sc', studyInstanceUid, model, inputsDigest, ...lines];
