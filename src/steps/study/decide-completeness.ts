/** How far the looks at a study have come. */
export interface StudyWatch {
  readonly studyInstanceUid: string;
  readonly instanceCount: number;
  /** Looks in a row that found this count. */
  readonly looks: number;
  readonly firstSeen: Date;
  readonly lastChange: Date;
  /** Instances in the ImagingStudy as last written; 0 before. */
  readonly completedCount: number;
  /** Why the ImagingStudy has no order; null when it has one, or is not written yet. */
  readonly unmatchedReason: string | null;
  /** `StudySeen.identity` when the ImagingStudy was last written; null: not known. */
  readonly listedIdentity: string | null;
}

export interface QuietTimes {
  /** STUDY_QUIET_MS */
  readonly quietMs: number;
  /** STUDY_LOOK_INTERVAL_MS */
  readonly lookIntervalMs: number;
}

export interface Look {
  readonly studyInstanceUid: string;
  readonly count: number;
  /** Whoever sends it has not ended: however long the count stands still, it is not all there. */
  readonly growing: boolean;
  readonly now: Date;
}

/** The count must be found the same by so many looks in a row. */
export const LOOKS_MIN = 2;

/**
 * DICOM has no sign that a study is complete. Ours: two looks in a row find the same number of instances, and that number
 * has stood still for the quiet time. `waitMs` null: it is complete. Gives the watch with this look counted in.
 */
export function decideCompleteness(
  watch: StudyWatch | null,
  look: Look,
  times: QuietTimes,
): { readonly watch: StudyWatch; readonly waitMs: number | null } {
  const { now, count, studyInstanceUid } = look;
  const still = watch !== null && watch.instanceCount === count && !look.growing;
  const next: StudyWatch = {
    studyInstanceUid,
    instanceCount: count,
    looks: still ? watch.looks + 1 : 1,
    firstSeen: watch?.firstSeen ?? now,
    lastChange: still ? watch.lastChange : now,
    completedCount: watch?.completedCount ?? 0,
    unmatchedReason: watch?.unmatchedReason ?? null,
    listedIdentity: watch?.listedIdentity ?? null,
  };
  const quietForMs = now.getTime() - next.lastChange.getTime();
  if (next.looks >= LOOKS_MIN && quietForMs >= times.quietMs) return { watch: next, waitMs: null };
  // The last look comes when the quiet time is over, not up to an interval later.
  const untilQuietMs = Math.max(times.quietMs - quietForMs, 0);
  const waitMs =
    untilQuietMs === 0 || next.looks + 1 < LOOKS_MIN
      ? times.lookIntervalMs
      : Math.min(times.lookIntervalMs, untilQuietMs);
  return { watch: next, waitMs: Math.max(waitMs, 1) };
}
