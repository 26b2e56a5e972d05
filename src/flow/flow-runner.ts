import type { Job, JobGround, JobHandler, JobOutcome, JobRequest, Transaction } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';
import type { Step, StepName, StepResult, StepTold } from '../steps/step.ts';
import { type Arrow, type FlowRow, STUDY_FLOW } from './study-flow.ts';

export type AnyStep = Step<object, object>;

/** One step has ended: for metrics, the log and whoever watches. Ids and numbers only. */
export interface StepEnded {
  readonly step: StepName;
  readonly end: StepResult<object>['kind'];
  readonly why: string | null;
  readonly ms: number;
  /** From the moment the job was written to its start. */
  readonly waitedMs: number;
  readonly handoff: object;
  readonly next: object | null;
}

/** Told when a job of the way is given up: the Task of the analysis must say so. */
export type Buried = (tx: Transaction, job: Job<object>, why: string, step: StepName) => Promise<void>;

/**
 * Runs steps as jobs: a row of the map is a queue, a handoff is a payload. What a step hands on is queued for every row that waits for it, in the
 * transaction that also finishes the step's own job.
 */
export class FlowRunner {
  private readonly watchers = new Set<(ended: StepEnded) => void>();
  /** When the runs under way began, so that one that throws has its time too. */
  private readonly starts = new WeakMap<Job<object>, { readonly at: number; readonly waitedMs: number }>();

  constructor(
    private readonly outbox: Outbox,
    private readonly steps: readonly AnyStep[],
    private readonly buried: Buried,
  ) {}

  /** One handler per row of the map. Throws when a row has no step or a step has no row. */
  handlers(): JobHandler<object>[] {
    const unmapped = this.steps.filter((step) => !STUDY_FLOW.some((row) => row.step === step.name));
    if (unmapped.length > 0)
      throw new Error(`Steps without a row in the flow: ${unmapped.map((step) => step.name).join(', ')}`);
    return STUDY_FLOW.flatMap((row) => this.handlersOf(row));
  }

  /** Hears of every step that ends in this process. */
  watch(watcher: (ended: StepEnded) => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private handlersOf(row: FlowRow): JobHandler<object>[] {
    const step = this.steps.find((one) => one.name === row.step);
    if (!step) throw new Error(`The flow has a row for ${row.step}, but there is no such step`);
    return (step.queues ?? [row.step]).map((queue) => this.handler(row, step, queue));
  }

  private handler(row: FlowRow, step: AnyStep, queue: string): JobHandler<object> {
    return {
      queue,
      concurrency: row.concurrency,
      attemptsMax: row.attemptsMax,
      run: (job, ground) => this.run(row, step, job, ground),
      buried: (job, why, tx) => {
        tx.afterCommit(() => this.tellEnd(row, job, 'given-up', why, null));
        return this.buried(tx, job, why, row.step);
      },
    };
  }

  private async run(row: FlowRow, step: AnyStep, job: Job<object>, ground: JobGround): Promise<JobOutcome> {
    this.starts.set(job, { at: performance.now(), waitedMs: Date.now() - job.createdAt.getTime() });
    const tell = (told: StepTold) => this.tellOne(row.step, told);
    const result = await step.run(job.payload, job, { ...ground, tell });
    switch (result.kind) {
      case 'later': {
        const { kind: _, ...again } = result;
        if (!step.tells) this.tellEnd(row, job, 'later', result.why, null);
        return { kind: 'again', free: true, ...again };
      }
      case 'given-up':
        // `buried` tells of it, as it does when attempts are used up.
        return { kind: 'dead', why: result.why, write: async (tx) => void (await result.write?.(tx)) };
      case 'skipped':
      case 'refused':
        return {
          kind: 'done',
          write: async (tx) => {
            await result.write?.(tx);
            if (!step.tells) tx.afterCommit(() => this.tellEnd(row, job, result.kind, result.why, null));
          },
        };
      case 'done':
        return {
          kind: 'done',
          durable: result.durable ?? true,
          write: async (tx) => {
            const next = (await result.write?.(tx)) ?? result.next;
            if (next) await this.outbox.add(tx, requestsFor(row.handsOn, next));
            if (!step.tells) tx.afterCommit(() => this.tellEnd(row, job, 'done', null, next ?? null));
          },
        };
    }
  }

  private tellOne(step: StepName, { queuedAt, startedAt, ...told }: StepTold): void {
    const ms = Date.now() - startedAt.getTime();
    const waitedMs = startedAt.getTime() - queuedAt.getTime();
    for (const watcher of this.watchers) watcher({ step, ms, waitedMs, next: null, ...told });
  }

  private tellEnd(
    row: FlowRow,
    job: Job<object>,
    end: StepEnded['end'],
    why: string | null,
    next: object | null,
  ): void {
    const { at, waitedMs } = this.starts.get(job) ?? { at: performance.now(), waitedMs: 0 };
    const ended = {
      step: row.step,
      end,
      why,
      ms: performance.now() - at,
      waitedMs,
      handoff: job.payload,
      next,
    };
    for (const watcher of this.watchers) watcher(ended);
  }
}

/** A job for every row that waits for this arrow. */
function requestsFor(arrow: Arrow, handoff: object): JobRequest<object>[] {
  return STUDY_FLOW.filter((row) => row.waitsFor === arrow).map(
    (row) =>
      row.job?.(handoff as never) ?? {
        queue: row.step,
        payload: handoff,
        ...(row.lane ? { lane: row.lane(handoff as never) } : {}),
      },
  );
}
