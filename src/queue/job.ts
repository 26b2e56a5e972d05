import type { Statement, Transaction } from '../database/database.ts';

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

/** How a run of a job ended. An exception counts as `again` until the attempts are used up, then as `dead`. */
export type JobOutcome =
  /** Finished; `write` runs in the transaction that marks the job done. */
  | { readonly kind: 'done'; readonly write?: (tx: Transaction) => Promise<void>; readonly durable?: boolean }
  /** Not now: run again after a while. Does not use up attempts when `free`. */
  | { readonly kind: 'again'; readonly afterMs: number; readonly why: string; readonly free?: boolean }
  /** Never: kept as a dead letter with its reason; `write` runs in the same transaction. */
  | { readonly kind: 'dead'; readonly why: string; readonly write?: (tx: Transaction) => Promise<void> };

/** A round trip less for a job that starts in the place of the one before. */
export interface Ahead {
  /** Its values are lanes (text[]) and the number of the process; it may only touch what belongs to rows that run in these lanes under this number. */
  readonly statement: Statement;
  /** Gets its rows after the commit. Must not throw. A job may all the same begin without, or never. */
  keep(rows: unknown[]): void;
}

/** Runs the jobs of one queue. May be run twice for the same job: it must come to the same end. */
export interface JobHandler<P extends object = JobPayload> {
  readonly queue: string;
  /** How many run at the same time in one process. */
  readonly concurrency: number;
  readonly attemptsMax: number;
  /** Jobs in lanes that end well are ended in groups, with one commit (see `LaneEnds`); what they write must not fail for one of them alone. */
  readonly endsTogether?: boolean;
  /** With `endsTogether`: what the next of each lane begins with, done in the transaction that ends the one before. */
  readonly ahead?: Ahead;
  run(job: Job<P>): Promise<JobOutcome>;
  /** Runs in the transaction that makes a job a dead letter, whether it said so itself or its attempts are used up: the place to tell people. */
  buried?(job: Job<P>, why: string, tx: Transaction): Promise<void>;
}
