import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Database, type Transaction } from './database/database.ts';
import { Failure } from './kernel/errors.ts';
import { laneJob, type OruStored } from './kernel/handoffs.ts';
import { OutboundActionsHost } from './queue/outbound-actions.ts';
import { type DeadLetter, Outbox, type Replayed } from './queue/outbox.ts';
import { OutboundMessageStore } from './steps/ris/outbound-message.store.ts';

/** Newest first; who has more has one trouble many times, and `more` says so. */
export const DEAD_LETTERS_SHOWN_MAX = 200;
/** As a pattern of SQL. */
const RIS_SEND_QUEUES = 'ris-send%';
/** Largest value of PostgreSQL's `bigint`. */
const JOB_ID_MAX = 2n ** 63n - 1n;

/** Dead letters for the operator. Never what a job carried. The doors ask for `system/Task.r` and `system/Task.u`. */
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly messages: OutboundMessageStore,
    private readonly outbound: OutboundActionsHost,
  ) {}

  @Get('dead')
  async dead(): Promise<{ jobs: DeadLetter[]; more: boolean }> {
    const jobs = await this.outbox.dead(this.database, DEAD_LETTERS_SHOWN_MAX + 1);
    return { jobs: jobs.slice(0, DEAD_LETTERS_SHOWN_MAX), more: jobs.length > DEAD_LETTERS_SHOWN_MAX };
  }

  /** Back in its queue with all its attempts. A message for the RIS waits to be sent again, in the same transaction. */
  @Post(':id/replay')
  @HttpCode(200)
  async replay(@Param('id') id: string): Promise<{ id: string; queue: string }> {
    if (!/^[1-9]\d{0,18}$/.test(id) || BigInt(id) > JOB_ID_MAX) throw unknownJob();
    const queue = await this.database.transaction(async (tx) => {
      const message = await this.outbox.takeDead(tx, id, RIS_SEND_QUEUES);
      if (message) return this.replayMessage(tx, message);
      const job = await this.outbox.replay(tx, id);
      if (job) return job.queue;
      if (await this.outbox.has(tx, id))
        throw new Failure('job.not-dead', 'The job is no dead letter: it waits or runs.');
      throw unknownJob();
    });
    return { id, queue };
  }

  /** It goes back to its place in its lane, and the lane's job sends it. */
  private async replayMessage(tx: Transaction, { queue, payload }: Replayed): Promise<string> {
    const message = payload as unknown as OruStored;
    // Looked at anew: since it became a dead letter something newer may have been sent, or the radiologist's report have come.
    await this.outbound.actions.mayFollow(tx, message.messageId);
    await this.messages.replayed(tx, message);
    await this.outbox.add(tx, [laneJob(message)]);
    return queue;
  }
}

const unknownJob = () =>
  new Failure(
    'job.unknown',
    'There is no such job. GET /jobs/dead lists the dead letters; finished jobs are not kept.',
  );
