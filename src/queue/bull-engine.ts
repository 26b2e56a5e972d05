import Bull from 'bull';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { claimOne, headOfLane, waitingRows } from './claim.ts';
import { freeTakenIds } from './free-taken-ids.ts';
import type { Job, JobHandler, OfferedJob } from './job.ts';
import type { JobEngine, Outbox } from './outbox.ts';
import { OutboxTrouble } from './outbox-trouble.ts';
import { Presence } from './presence.ts';
import type { RedisConnection } from './redis-options.ts';
import { runJobAsServer } from './run-job.ts';
import { Sweep } from './sweep.ts';

/** How often rows that Redis does not know are offered again: what a lost or flushed Redis costs at most. */
const SWEEP_MS = 2_000;
/** Rows offered of one queue in one sweep, so that a long night's backlog does not become one huge command. */
const SWEEP_ROWS_MAX = 1_000;

/** Offers that wait for Redis. While it is away each would stay in memory, and the sweep makes them again every two seconds, all night. */
export const UNANSWERED_OFFERS_MAX = 5_000;

/** Bull's own claim on a job, renewed at half of it. Short, so that jobs of killed workers do not stay. Nothing depends on it: the row in PostgreSQL says who may run. */
const LOCK_MS = 3_000;
const STALLED_LOOK_MS = 1_000;

/**
 * Spreads the same outbox rows over many workers through Bull. A Bull job carries a row's id and nothing else; the row stays the truth. A worker
 * claims the row in PostgreSQL before it runs it, so a job that Redis delivers twice, or that another worker has, does nothing.
 */
export class BullEngine implements JobEngine {
  private readonly queues = new Map<string, Bull.Queue<{ id?: string }>>();
  private readonly presence: Presence;
  private readonly tidy: Sweep;
  /** What waited at the last sweep, by its id in Redis. */
  private offered: ReadonlySet<string> = new Set();
  private freeing = false;
  /** Jobs that run here. */
  private readonly running = new Set<Promise<void>>();
  /** Offers that Redis has not answered. */
  private unanswered = 0;
  private sweeper: NodeJS.Timeout | null = null;
  private stopping = false;
  private readonly trouble: OutboxTrouble;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    /** Queues that this process offers to, and their handlers. */
    private readonly handlers: readonly JobHandler[],
    private readonly redis: RedisConnection,
    private readonly log: Logger,
    /** Separates sites, tests or stages that share one Redis. */
    private readonly prefix = 'prelim',
  ) {
    this.tidy = new Sweep(database);
    this.trouble = new OutboxTrouble(log);
    this.presence = new Presence(
      database,
      () => undefined,
      () => void this.sweep(),
    );
  }

  /** `work`: also run jobs here; without it this process only offers them. */
  async start(options: { work: boolean }): Promise<void> {
    await this.presence.start();
    await this.tidy.run();
    for (const handler of this.handlers) this.queues.set(handler.queue, this.open(handler.queue));
    this.outbox.use(this);
    if (options.work) for (const handler of this.handlers) this.work(handler);
    await this.sweep();
    this.sweeper = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    if (this.sweeper) clearInterval(this.sweeper);
    // Bull would wait for them too, but with a promise that nobody looks at meanwhile: where Redis is silent it would end the process.
    await Promise.allSettled(this.running);
    await Promise.allSettled([...this.queues.values()].map((queue) => queue.close(true)));
    await this.presence.stop();
  }

  /** Bull decides who runs a job, so none is kept back for this process. */
  reserve(): null {
    return null;
  }

  /** Never called: what is not reserved is not given back, and not taken. */
  giveBack(): void {}

  take(): void {}

  offer(jobs: readonly OfferedJob[]): void {
    for (const job of jobs) {
      const queue = this.queues.get(job.queue);
      if (!queue || this.unanswered >= UNANSWERED_OFFERS_MAX) continue;
      const delay = Math.max(0, (job.notBefore?.getTime() ?? 0) - Date.now());
      // An offer that Redis does not take is no loss: the sweep makes it again.
      this.unanswered += 1;
      void queue
        .add(
          { id: job.id },
          { jobId: jobIdOf(job), delay, attempts: 1, removeOnComplete: true, removeOnFail: true },
        )
        .catch(() => undefined)
        .finally(() => {
          this.unanswered -= 1;
        });
    }
  }

  private open(name: string): Bull.Queue<{ id?: string }> {
    const queue = new Bull<{ id?: string }>(name, {
      prefix: this.prefix,
      redis: {
        ...this.redis,
        maxRetriesPerRequest: null,
        enableReadyCheck: false,
      } as Bull.QueueOptions['redis'],
      settings: {
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_LOOK_MS,
        maxStalledCount: 1_000,
        drainDelay: 1,
      },
    });
    queue.on('error', (error) => {
      // What Bull had begun when its connections were closed.
      if (!this.stopping) this.log.warn({ queue: name, err: error.name }, 'Redis does not answer');
    });
    return queue;
  }

  private work(handler: JobHandler): void {
    void this.queues
      .get(handler.queue)
      ?.process(handler.concurrency, ({ data }) => this.kept(this.runOne(handler, data.id)))
      .catch(() => undefined);
  }

  private async kept(run: Promise<void>): Promise<void> {
    this.running.add(run);
    await run.finally(() => this.running.delete(run));
  }

  /** `id` is missing in a job that Redis forgot while it was taken: its row is offered again (`freeTakenIds`). */
  private async runOne(handler: JobHandler, id: string | undefined): Promise<void> {
    const runner = this.presence.number;
    if (id === undefined || runner === null || this.stopping) return;
    const job = await claimOne(this.database, id, runner);
    if (!job) return;
    const claim = { runner, isHeld: () => this.presence.number === runner };
    const end = await runJobAsServer(this.database, handler, job, claim, this.log);
    if (end.kind === 'waits') this.offerLater({ ...job, id: end.id }, end.afterMs);
    if (end.kind === 'unwritten' && claim.isHeld()) this.presence.renew();
    // Only the next of this lane: to offer all that waits after each job would cost the square of the backlog.
    if (job.lane !== null) this.offer(await headOfLane(this.database, job.lane));
  }

  /** The finished Bull job still holds the row's id in Redis until its handler has returned; then the id is free again. */
  private offerLater({ id, queue, attempt }: Job, afterMs: number): void {
    const offer = () => this.offer([{ id, queue, lane: null, notBefore: null, attempt }]);
    setTimeout(offer, Math.max(afterMs, 20)).unref();
  }

  private async sweep(): Promise<void> {
    if (this.stopping) return;
    try {
      await this.tidy.run();
      await this.offerWaiting([...this.queues.keys()]);
      this.trouble.read();
    } catch (error) {
      this.trouble.failed(error);
    }
  }

  private async offerWaiting(queues: readonly string[]): Promise<void> {
    const waiting = await waitingRows(this.database, queues, SWEEP_ROWS_MAX);
    const before = this.offered;
    this.offered = new Set(waiting.map(jobIdOf));
    this.offer(waiting);
    if (!this.freeing) void this.freeIds(waiting.filter((row) => before.has(jobIdOf(row))));
  }

  /**
   * What was offered a sweep ago and has not begun waits behind others, or its id is held by a job that nobody runs. Nobody waits for it: a Redis
   * that is away answers when it is back. What is freed is taken at the next sweep.
   */
  private async freeIds(waiting: readonly OfferedJob[]): Promise<void> {
    this.freeing = true;
    for (const [name, queue] of this.queues) {
      const ids = waiting.filter((row) => row.queue === name).map(jobIdOf);
      const freed = await freeTakenIds(queue, ids).catch(() => 0);
      if (freed > 0) this.log.warn({ queue: name, jobs: freed }, 'Redis held jobs that nobody ran');
    }
    this.freeing = false;
  }
}

/**
 * Redis takes an id once. With the attempt in it, a row whose worker was killed is taken again at once: its last offer lies in Redis as active until
 * Bull finds that its lock has run out.
 */
const jobIdOf = ({ id, attempt }: OfferedJob): string => `${id}-${attempt}`;
