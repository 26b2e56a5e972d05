import type { Transaction } from '../../database/database.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { StudySeen } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import type { StudyWatchStore } from './study-watch.store.ts';

/** A study is announced again while nothing became of it: a job that ended as a dead letter is not renewed at every look. */
export const ANNOUNCE_AGAIN_MS = 3_600_000;
/** Unmatched studies are tried again so often: their order may have come. */
export const UNMATCHED_LOOK_MS = 60_000;

export interface WatchOptions {
  /** STUDY_LOOK_INTERVAL_MS */
  readonly lookIntervalMs: number;
  /** STUDY_LOOK_BACK_HOURS */
  readonly lookBackHours: number;
  readonly clock: Clock;
  /** Told of a look that failed, by its code, once until that changes; the next look comes all the same. */
  readonly onFailure: (code: string) => void;
  /** Told once when looks succeed again. */
  readonly onRecovery?: () => void;
}

/** Commits jobs: a transaction of the database and `Outbox.add` in it. */
export type Announce = (jobs: readonly JobRequest<StudySeen>[]) => Promise<void>;

/**
 * Looks at the PACS at intervals and announces studies that are new, have grown, or still have no order. For the embedded
 * archive it is the net under the hook that announces at once.
 */
export class PacsWatch {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private stopped = true;
  private unmatchedLookAt = 0;
  private trouble: string | null = null;
  private readonly announced = new Map<string, { readonly count: number; readonly at: number }>();

  constructor(
    private readonly source: StudySource,
    private readonly watches: StudyWatchStore,
    private readonly announce: Announce,
    private readonly options: WatchOptions,
  ) {}

  start(): void {
    this.stopped = false;
    this.plan(0);
  }

  /** Resolves when the look that is under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  /** One look. Gives how many studies were announced. */
  async look(): Promise<number> {
    const now = this.options.clock.now().getTime();
    const seen = await this.source.recentStudies(this.options.lookBackHours);
    const completed = await this.watches.completedCounts(seen.map((study) => study.studyInstanceUid));
    const grown = seen.filter(({ studyInstanceUid, numberOfInstances }) => {
      if (numberOfInstances === 0 || completed.get(studyInstanceUid) === numberOfInstances) return false;
      const last = this.announced.get(studyInstanceUid);
      return last === undefined || last.count !== numberOfInstances || now - last.at >= ANNOUNCE_AGAIN_MS;
    });
    const present = new Set(seen.map((study) => study.studyInstanceUid));
    for (const uid of this.announced.keys()) if (!present.has(uid)) this.announced.delete(uid);
    const uids = new Set([...grown.map((study) => study.studyInstanceUid), ...(await this.unmatched(now))]);
    if (uids.size > 0) await this.announce([...uids].map(studySeenJob));
    // Only now: what could not be written is announced again by the next look, not in an hour.
    for (const { studyInstanceUid, numberOfInstances: count } of grown)
      this.announced.set(studyInstanceUid, { count, at: now });
    return uids.size;
  }

  private async unmatched(now: number): Promise<string[]> {
    if (now - this.unmatchedLookAt < UNMATCHED_LOOK_MS) return [];
    this.unmatchedLookAt = now;
    return this.watches.unmatchedSince(new Date(now - this.options.lookBackHours * 3_600_000));
  }

  /** A PACS that is down for the night is one line in the log, not thousands. */
  private tell(code: string | null): void {
    if (code === this.trouble) return;
    this.trouble = code;
    if (code === null) this.options.onRecovery?.();
    else this.options.onFailure(code);
  }

  private plan(afterMs: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.look()
        .then(
          () => this.tell(null),
          (error: unknown) => this.tell(error instanceof Failure ? error.code : 'internal'),
        )
        .then(() => this.plan(this.options.lookIntervalMs));
    }, afterMs);
  }
}

/** The job of the study step; one per study is kept at a time. */
function studySeenJob(studyInstanceUid: string): JobRequest<StudySeen> {
  return { queue: 'study', payload: { studyInstanceUid }, key: studyInstanceUid };
}

/** For `ArchiveIntake.onStored`: announces stored studies in the transaction that stores them. */
export function announceStored(
  add: (tx: Transaction, jobs: readonly JobRequest<StudySeen>[]) => Promise<void>,
) {
  return (tx: Transaction, studyInstanceUids: readonly string[]): Promise<void> =>
    add(tx, studyInstanceUids.map(studySeenJob));
}
