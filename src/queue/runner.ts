import type { Logger } from 'pino';
import { mayHaveHappened } from '../database/connection-failure.ts';
import type { Database } from '../database/database.ts';
import { claimNext, nextDueMs } from './claim.ts';
import type { Job, JobHandler, OfferedJob } from './job.ts';
import type { JobEngine, Outbox, TakenJob } from './outbox.ts';
import { OutboxTrouble } from './outbox-trouble.ts';
import { Presence } from './presence.ts';
import { runJobAsServer } from './run-job.ts';
import { Sweep } from './sweep.ts';

/** A safety net under commit and NOTIFY: rows of a runner that died, and time-outs of clocks. */
const SWEEP_MS = 2_000;

interface Lane {
  readonly handler: JobHandler;
  running: number;
  /** Rows may wait that nobody here has claimed: the last look took all there was room for, or news came since. */
  mayWait: boolean;
  /** A look is under way; another was asked for meanwhile. */
  looking: boolean;
  lookAgain: boolean;
}

/**
 * Runs the outbox inside this process. It is woken by commits here, by NOTIFY from other processes, and by a timer for rows that
 * wait for their time; a slow sweep takes up what a dead process left.
 */
export class Runner implements JobEngine {
  private readonly queues = new Map<string, Lane>();
  private readonly presence: Presence;
  private readonly tidy: Sweep;
  private timer: NodeJS.Timeout | null = null;
  private sweeper: NodeJS.Timeout | null = null;
  private stopping = false;
  private readonly trouble: OutboxTrouble;
  private readonly active = new Set<Promise<void>>();

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    handlers: readonly JobHandler[],
    private readonly log: Logger,
  ) {
    for (const handler of handlers) {
      if (this.queues.has(handler.queue)) throw new Error(`Two handlers for the queue ${handler.queue}`);
      this.queues.set(handler.queue, {
        handler,
        running: 0,
        mayWait: true,
        looking: false,
        lookAgain: false,
      });
    }
    this.tidy = new Sweep(database);
    this.trouble = new OutboxTrouble(log);
    this.presence = new Presence(
      database,
      (queue) => this.look(queue),
      () => this.sweep(),
    );
  }

  async start(): Promise<void> {
    await this.presence.start();
    await this.tidy.run();
    this.outbox.use(this);
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
    for (const queue of this.queues.keys()) this.look(queue);
    this.setTimer(0);
  }

  /** Takes nothing new and waits for what runs. Rows of jobs that do not end in time go back to waiting when the process ends. */
  async stop(waitMs = 10_000): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    if (this.sweeper) clearInterval(this.sweeper);
    const patience = new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref());
    await Promise.race([Promise.all(this.active), patience]);
    await this.presence.stop();
  }

  reserve(queue: string): number | null {
    const lane = this.queues.get(queue);
    if (!lane || this.stopping || this.presence.number === null || lane.running >= lane.handler.concurrency)
      return null;
    if (lane.mayWait) return null; // those that wait come first
    lane.running += 1;
    return this.presence.number;
  }

  giveBack(queue: string, uncertain: boolean): void {
    const lane = this.queues.get(queue);
    if (!lane) return;
    lane.running -= 1;
    if (uncertain) this.presence.renew();
    if (lane.mayWait) this.look(queue);
  }

  take(taken: TakenJob): void {
    const lane = this.queues.get(taken.queue);
    if (!lane) return;
    // While stopping nothing begins: the row waits again as soon as our number is gone.
    if (this.stopping) lane.running -= 1;
    else this.run(lane, { ...taken, attempt: 1 });
  }

  offer(jobs: readonly OfferedJob[]): void {
    for (const job of jobs) {
      const waitMs = job.notBefore ? job.notBefore.getTime() - Date.now() : 0;
      if (waitMs > 0) this.setTimer(waitMs);
      else this.look(job.queue);
    }
  }

  /** Claims as much as there is room for. Looks of one queue do not overlap: one asked for meanwhile follows. */
  private look(queue: string): void {
    const lane = this.queues.get(queue);
    if (!lane || this.stopping) return;
    lane.mayWait = true;
    if (lane.looking) lane.lookAgain = true;
    else void this.lookNow(queue, lane);
  }

  private async lookNow(queue: string, lane: Lane): Promise<void> {
    lane.looking = true;
    try {
      do {
        lane.lookAgain = false;
        const room = lane.handler.concurrency - lane.running;
        const runner = this.presence.number;
        if (room <= 0 || runner === null) continue;
        lane.mayWait = false;
        lane.running += room; // held while claiming, so that reserve() does not take the same room
        const jobs = await this.claim(lane, queue, room, runner);
        if (this.stopping) return; // rows just claimed wait again as soon as our number is gone
        lane.running -= room - jobs.length;
        if (jobs.length === room) lane.mayWait = true;
        for (const job of jobs) this.run(lane, job);
        // Jobs that ended meanwhile have made room, and found nothing known to wait.
        if (jobs.length === room && lane.running < lane.handler.concurrency) lane.lookAgain = true;
      } while (lane.lookAgain && !this.stopping);
    } finally {
      lane.looking = false;
    }
  }

  private async claim(lane: Lane, queue: string, room: number, runner: number): Promise<Job[]> {
    try {
      const jobs = await claimNext(this.database, queue, room, runner);
      this.trouble.read();
      return jobs;
    } catch (error) {
      this.trouble.failed(error, { queue });
      lane.mayWait = true;
      if (mayHaveHappened(error)) this.presence.renew();
      return [];
    }
  }

  /** Runs a job whose place in `lane.running` is already counted. */
  private run(lane: Lane, job: Job): void {
    const running = this.runOne(lane, job).finally(() => {
      this.active.delete(running);
      lane.running -= 1;
      // A lane's next row may have become its head.
      if (lane.mayWait || job.lane !== null) this.look(job.queue);
    });
    this.active.add(running);
  }

  private async runOne(lane: Lane, job: Job): Promise<void> {
    const runner = this.presence.number;
    if (runner === null) return;
    const claim = { runner, isHeld: () => this.presence.number === runner };
    const end = await runJobAsServer(this.database, lane.handler, job, claim, this.log);
    if (end.kind === 'waits' && end.afterMs > 0) this.setTimer(end.afterMs);
    if (end.kind === 'waits' && end.afterMs <= 0) this.look(job.queue);
    // Rows may stand under this number that nobody here knows of.
    if (end.kind === 'unwritten' && claim.isHeld()) this.presence.renew();
  }

  private sweep(): void {
    if (this.stopping) return;
    const lookAtAll = () => {
      for (const queue of this.queues.keys()) this.look(queue);
    };
    // What was released just now is looked for in the same sweep.
    void this.tidy.run().then(lookAtAll, lookAtAll);
  }

  /** One timer, for the earliest row that waits for its time. */
  private timerAt = Number.POSITIVE_INFINITY;

  private setTimer(inMs: number): void {
    const at = Date.now() + inMs;
    if (at >= this.timerAt || this.stopping) return;
    if (this.timer) clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(() => void this.onTimer(), Math.min(inMs, 2 ** 31 - 1)).unref();
  }

  private async onTimer(): Promise<void> {
    this.timerAt = Number.POSITIVE_INFINITY;
    for (const queue of this.queues.keys()) this.look(queue);
    const ms = await nextDueMs(this.database, [...this.queues.keys()]).catch(() => null);
    if (ms !== null && ms > 0) this.setTimer(ms + 1);
  }
}
