import type { Transaction } from '../database/database.ts';

export type { Transaction };

/** A job carries ids and numbers that are no patient data, and nothing else. */
export type JobPayload = Readonly<Record<string, unknown>>;

/** What a cause asks for; written to the outbox in the cause's own transaction. */
export interface JobRequest<P extends object = JobPayload> {
  /** Which handler runs it. */
  readonly queue: string;
  readonly payload: P;
  /** Jobs of one lane run one after the other, in the order they were written; a waiting head holds the lane. */
  readonly lane?: string;
  /** A second job with the same queue and key is not written while one is kept: the members of its payload go into that one, which then runs with them. */
  readonly key?: string;
  /** Lower runs first; 100 when left out. */
  readonly priority?: number;
  /** Not before this time. */
  readonly notBefore?: Date;
}

export interface Job<P extends object = JobPayload> {
  readonly id: string;
  readonly queue: string;
  readonly payload: P;
  readonly lane: string | null;
  /** 1 for the first run. */
  readonly attempt: number;
  readonly createdAt: Date;
}

/** A row just written, as the engine needs it. */
export interface OfferedJob {
  readonly id: string;
  readonly queue: string;
  readonly lane: string | null;
  readonly notBefore: Date | null;
  /** How often it has been claimed. */
  readonly attempt: number;
}

/** What makes a job ours while it runs. */
export interface Claim {
  /** The number under which its row runs. */
  readonly runner: number;
  /** False once that number was given up: somebody else may have the job already. */
  isHeld(): boolean;
}

/** What a run stands on, beside its job. */
export interface JobGround {
  readonly claim: Claim;
  /** Part of what the job is for is done, for good: it has all its attempts again for the rest. */
  progressed(): void;
}

/** How a run of a job ended. An exception counts as `again` until the attempts are used up, then as `dead`. */
export type JobOutcome =
  /** Finished; `write` runs in the transaction that marks the job done. */
  | { readonly kind: 'done'; readonly write?: (tx: Transaction) => Promise<void>; readonly durable?: boolean }
  /** Not now: run again after a while. Does not use up attempts when `free`. `behind`: after all that wait now. */
  | {
      readonly kind: 'again';
      readonly afterMs: number;
      readonly why: string;
      readonly free?: boolean;
      readonly behind?: boolean;
    }
  /** Never: kept as a dead letter with its reason; `write` runs in the same transaction. */
  | { readonly kind: 'dead'; readonly why: string; readonly write?: (tx: Transaction) => Promise<void> };

/** Runs the jobs of one queue. May be run twice for the same job: it must come to the same end. */
export interface JobHandler<P extends object = JobPayload> {
  readonly queue: string;
  /** How many run at the same time in one process. */
  readonly concurrency: number;
  readonly attemptsMax: number;
  run(job: Job<P>, ground: JobGround): Promise<JobOutcome>;
  /** Runs in the transaction that makes a job a dead letter, whether it said so itself or its attempts are used up: the place to tell people. */
  buried?(job: Job<P>, why: string, tx: Transaction): Promise<void>;
}
