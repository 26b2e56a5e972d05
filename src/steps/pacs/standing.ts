import type { InstanceReference } from '../../dicom/result-object.ts';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { KnownObject } from './pacs-object.store.ts';

/**
 * What of a report stands in the PACS: everything made since it was last withdrawn, oldest first, without what the PACS refused. A version with a rejection
 * note and no picture is a withdrawal; the note for a picture that was replaced comes with the new picture.
 */
export function standing(earlier: readonly KnownObject[]): KnownObject[] {
  const taken = earlier.filter(({ state }) => state !== 'refused');
  const pictures = new Set(taken.filter(({ kind }) => kind === 'sc').map((one) => one.reportVersion));
  const withdrawals = taken.filter(
    ({ kind, reportVersion }) => kind === 'ko' && !pictures.has(reportVersion),
  );
  const last = Math.max(0, ...withdrawals.map((one) => one.reportVersion));
  return taken.filter((one) => one.reportVersion > last);
}

/** The objects that a rejection note can name. */
export const rejectable = (objects: readonly KnownObject[]): InstanceReference[] =>
  objects.filter(({ kind, state }) => kind !== 'ko' && state !== 'refused');

/** The latest picture of those given. */
export const latestPicture = (objects: readonly KnownObject[]): KnownObject | undefined =>
  objects.findLast(({ kind, state }) => kind === 'sc' && state !== 'refused');

/**
 * The UID of an object that says this: that of the one that stands and says it, else one that nobody has seen, for what a rejection note named stays hidden
 * however often it is stored again.
 */
export function uidOfContent(
  says: readonly string[],
  earlier: readonly KnownObject[],
  stands: readonly KnownObject[],
): string {
  const known = new Set(earlier.map((one) => one.sopInstanceUid));
  const standingUids = new Set(stands.map((one) => one.sopInstanceUid));
  const times = Math.max(earlier.length, ...earlier.map((one) => one.reportVersion)) + 1;
  const candidates = [stableUid(...says)];
  for (let n = 1; n <= times; n += 1) candidates.push(stableUid(...says, 'again', String(n)));
  return (
    candidates.find((uid) => standingUids.has(uid)) ??
    candidates.find((uid) => !known.has(uid)) ??
    candidates[0]!
  );
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
