import type { Transaction } from '../database/database.ts';
import type { Job, JobGround } from '../queue/job.ts';

/**
 * A step takes a handoff and says how it ended. It computes outside any transaction; what it wants to write goes into
 * `write`, which runs in the one transaction that also finishes its job and queues whatever waits for its result. It does
 * not know what comes next: that is in `flow/study-flow.ts`. It may run twice for the same handoff.
 */
export interface Step<In extends object, Out extends object> {
  readonly name: StepName;
  /** Its queues, where one row of the map has several: one per peer, so that a peer that is away keeps nobody else waiting. */
  readonly queues?: readonly string[];
  /** One job of it is many things in turn: it tells of each by itself, and the end of its job is not told. */
  readonly tells?: true;
  run(handoff: In, job: Job<In>, ground: StepGround): Promise<StepResult<Out>>;
}

/** What a run stands on, beside its job. */
export interface StepGround extends JobGround {
  /** For a step that `tells`. Must not be called before what it tells of is committed. */
  tell(end: StepTold): void;
}

/** How one of the things of a job ended; see `StepEnded`. */
export interface StepTold {
  readonly end: StepResult<object>['kind'];
  readonly why: string | null;
  readonly handoff: object;
  /** When it was queued, and when its turn began. */
  readonly queuedAt: Date;
  readonly startedAt: Date;
}

export type StepName =
  | 'filing'
  | 'study'
  | 'analysis'
  | 'priors'
  | 'quality'
  | 'inference'
  | 'findings'
  | 'report'
  | 'ris-message'
  | 'pacs-objects'
  | 'pacs-store'
  | 'ris-send';

export type StepResult<Out extends object> =
  /** Hands on. `next` may be made by `write`, when ids are only known there. */
  | {
      readonly kind: 'done';
      readonly next: Out | null;
      readonly write?: (tx: Transaction) => Promise<Out | void>;
      readonly durable?: boolean;
    }
  /** Nothing to do, and that is well. */
  | { readonly kind: 'skipped'; readonly why: string; readonly write?: (tx: Transaction) => Promise<void> }
  /** A named, expected ending; `write` stores it where people see it (Task `rejected`). */
  | { readonly kind: 'refused'; readonly why: string; readonly write?: (tx: Transaction) => Promise<void> }
  /** Cannot be done, now or later, and somebody must see to it: a dead letter with its reason. */
  | { readonly kind: 'given-up'; readonly why: string; readonly write?: (tx: Transaction) => Promise<void> }
  /** Not yet: look again after a while (a study still growing, a peer that is down). Uses up no attempts. `behind`: after all that wait now. */
  | { readonly kind: 'later'; readonly afterMs: number; readonly why: string; readonly behind?: boolean };

export const done = <Out extends object>(
  next: Out | null,
  options: { write?: (tx: Transaction) => Promise<Out | void>; durable?: boolean } = {},
): StepResult<Out> => ({ kind: 'done', next, ...options });

export const skipped = (why: string, write?: (tx: Transaction) => Promise<void>): StepResult<never> => ({
  kind: 'skipped',
  why,
  ...(write ? { write } : {}),
});

export const refused = (why: string, write?: (tx: Transaction) => Promise<void>): StepResult<never> => ({
  kind: 'refused',
  why,
  ...(write ? { write } : {}),
});

export const givenUp = (why: string, write?: (tx: Transaction) => Promise<void>): StepResult<never> => ({
  kind: 'given-up',
  why,
  ...(write ? { write } : {}),
});

export const later = (
  afterMs: number,
  why: string,
  options: { behind?: boolean } = {},
): StepResult<never> => ({ kind: 'later', afterMs, why, ...options });
