import type { Transaction } from '../../database/database.ts';
import type { SeenStudy, StudySource } from '../../dicom/study-source.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { StudySeen } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import type { CompletedStudy, StudyWatchStore } from './study-watch.store.ts';

/** A study is announced again while nothing became of it: a job that ended as a dead letter is not renewed at every look. */
export const ANNOUNCE_AGAIN_MS = 3_600_000;
/** Unmatched studies are tried again so often: their order may have come. */
export const UNMATCHED_LOOK_MS = 60_000;

/** Each is a query of its own: a PACS that lists nothing at all, because its index is being rebuilt, is not asked for a day's studies at once. */
export const GONE_AT_ONCE_MAX = 100;

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
 * Looks at the PACS at intervals and announces studies that are new, have grown, were corrected or deleted there, or still have no order. For the embedded
 * archive it is the net under the hook that announces at once.
 */
export class PacsWatch {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private stopped = true;
  private unmatchedLookAt = 0;
  private trouble: string | null = null;
  private readonly announced = new Map<string, Announced>();

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
    const completed = await this.watches.completed(seen.map((study) => study.studyInstanceUid));
    await this.watches.keepIdentities(
      seen.flatMap(({ studyInstanceUid: uid, identity }) =>
        identity !== undefined && completed.get(uid)?.identity === null ? [[uid, identity] as const] : [],
      ),
    );
    const changed = seen.filter((study) => study.numberOfInstances > 0 && differs(study, completed));
    const due = [...changed.filter((study) => this.isDue(study, now)), ...(await this.gone(seen, now))];
    const kept = new Set([...seen, ...due].map((study) => study.studyInstanceUid));
    for (const [uid, { count }] of this.announced)
      if (!kept.has(uid) && count > 0) this.announced.delete(uid);
    const jobs = new Map(due.map((study) => [study.studyInstanceUid, studySeenJob(study)]));
    for (const uid of await this.unmatched(now))
      if (!jobs.has(uid)) jobs.set(uid, studySeenJob({ studyInstanceUid: uid }));
    if (jobs.size > 0) await this.announce([...jobs.values()]);
    // Only now: what could not be written is announced again by the next look, not in an hour.
    for (const { studyInstanceUid, numberOfInstances: count, identity } of due)
      this.announced.set(studyInstanceUid, { count, identity, at: now });
    return jobs.size;
  }

  /** Known and not listed any more, as of no instance: deleted, or only out of the window by now. Whoever looks counts. */
  private async gone(seen: readonly SeenStudy[], now: number): Promise<readonly SeenStudy[]> {
    const present = new Set(seen.map((study) => study.studyInstanceUid));
    const known = await this.watches.completedSince(new Date(now - this.options.lookBackHours * 3_600_000));
    const missing = known.filter((uid) => !present.has(uid));
    // What is known no more needs no place in memory.
    for (const [uid, { count }] of this.announced)
      if (count === 0 && !missing.includes(uid)) this.announced.delete(uid);
    return missing
      .map((studyInstanceUid) => ({ studyInstanceUid, numberOfInstances: 0 }))
      .filter((study) => this.isDue(study, now))
      .slice(0, GONE_AT_ONCE_MAX);
  }

  private isDue({ studyInstanceUid, numberOfInstances, identity }: SeenStudy, now: number): boolean {
    const last = this.announced.get(studyInstanceUid);
    if (last === undefined || now - last.at >= ANNOUNCE_AGAIN_MS) return true;
    return last.count !== numberOfInstances || last.identity !== identity;
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
function studySeenJob({ studyInstanceUid, identity }: StudySeen): JobRequest<StudySeen> {
  const payload = { studyInstanceUid, ...(identity === undefined ? {} : { identity }) };
  return { queue: 'study', payload, key: studyInstanceUid };
}

interface Announced {
  readonly count: number;
  readonly identity: string | undefined;
  readonly at: number;
}

/** Has other instances, or another patient or number, than when it was last complete. */
function differs(study: SeenStudy, completed: ReadonlyMap<string, CompletedStudy>): boolean {
  const known = completed.get(study.studyInstanceUid);
  if (known?.count !== study.numberOfInstances) return true;
  return study.identity !== undefined && known.identity !== null && known.identity !== study.identity;
}

/** For `ArchiveIntake.onStored`: announces stored studies in the transaction that stores them. */
export function announceStored(
  add: (tx: Transaction, jobs: readonly JobRequest<StudySeen>[]) => Promise<void>,
) {
  return (tx: Transaction, studyInstanceUids: readonly string[]): Promise<void> =>
    add(
      tx,
      studyInstanceUids.map((studyInstanceUid) => studySeenJob({ studyInstanceUid })),
    );
}
