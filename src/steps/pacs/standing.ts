import type { InstanceReference } from '../../dicom/result-object.ts';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { KnownObject } from './pacs-object.store.ts';

/**
 * What of a report stands in the PACS: everything made of it that no rejection note names, oldest first, without the notes and without what the PACS
 * refused. A note that the PACS refused has rejected nothing.
 */
export function standing(earlier: readonly KnownObject[]): KnownObject[] {
  return notNamed(earlier, () => true);
}

/**
 * What no note has rejected for the patient's safety: an archive may still show somebody what was rejected for its quality, or was replaced (IHE IOCM).
 */
export function perhapsShown(earlier: readonly KnownObject[]): KnownObject[] {
  return notNamed(earlier, ({ rejectsFor }) => rejectsFor === 'safety');
}

function notNamed(earlier: readonly KnownObject[], by: (note: KnownObject) => boolean): KnownObject[] {
  const rejected = new Set(
    earlier.flatMap((one, at) =>
      one.kind === 'ko' && one.state !== 'refused' && by(one) ? namedBy(at, earlier) : [],
    ),
  );
  return rejectable(earlier).filter((one) => !rejected.has(one.sopInstanceUid));
}

/**
 * What the note at this place names. Of a note whose names were not kept (made by an older server): one that came alone withdrew everything before it, one
 * that came with other objects replaced every picture but the latest.
 */
function namedBy(at: number, earlier: readonly KnownObject[]): readonly string[] {
  const note = earlier[at]!;
  if (note.rejects) return note.rejects;
  const isAlone = !earlier.some((one) => one.kind !== 'ko' && one.reportVersion === note.reportVersion);
  const before = isAlone
    ? earlier.slice(0, at)
    : rejectable(earlier)
        .filter(({ kind }) => kind === 'sc')
        .slice(0, -1);
  return before.map((one) => one.sopInstanceUid);
}

/** The objects that a rejection note can name. */
export const rejectable = (objects: readonly KnownObject[]): KnownObject[] =>
  objects.filter(({ kind, state }) => kind !== 'ko' && state !== 'refused');

/** As a reference from another object. */
export const referenceTo = ({
  sopClassUid,
  sopInstanceUid,
  seriesInstanceUid,
}: KnownObject): InstanceReference => ({ sopClassUid, sopInstanceUid, seriesInstanceUid });

/**
 * The UID of an object that says this: that of the one that stands and says it, else one that nobody has seen, for what a rejection note named stays hidden
 * however often it is stored again.
 */
export function uidOfContent(says: readonly string[], earlier: readonly KnownObject[]): string {
  const known = new Set(earlier.map((one) => one.sopInstanceUid));
  const standingUids = new Set(standing(earlier).map((one) => one.sopInstanceUid));
  const candidates = uidsOfContent(says, earlier);
  return (
    candidates.find((uid) => standingUids.has(uid)) ??
    candidates.find((uid) => !known.has(uid)) ??
    candidates[0]!
  );
}

/** Every UID that an object that says this can have had or can get. */
export function uidsOfContent(says: readonly string[], earlier: readonly KnownObject[]): string[] {
  const times = Math.max(earlier.length, ...earlier.map((one) => one.reportVersion)) + 1;
  const again = Array.from({ length: times }, (_, n) => stableUid(...says, 'again', String(n + 1)));
  return [stableUid(...says), ...again];
}

/** How often an object of this kind was made of this version before: an edit of a finding makes a further one of the same version. */
export const revisionOf = (
  kind: KnownObject['kind'],
  reportVersion: number,
  earlier: readonly KnownObject[],
): number => earlier.filter((one) => one.kind === kind && one.reportVersion === reportVersion).length;

/** Instance number of what is made now of this version: it rises with every version and with every edit of a finding between them. */
export function instanceNumberOf(
  kind: KnownObject['kind'],
  reportVersion: number,
  earlier: readonly KnownObject[],
): number {
  const made = earlier.filter((one) => one.kind === kind);
  return (
    reportVersion +
    made.length -
    new Set(made.map((one) => one.reportVersion)).size +
    (made.some((one) => one.reportVersion === reportVersion) ? 1 : 0)
  );
}
