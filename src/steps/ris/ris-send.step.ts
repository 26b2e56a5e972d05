import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Database } from '../../database/database.ts';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { Failure } from '../../kernel/errors.ts';
import { type LaneDue, type OruStored, risSendQueue } from '../../kernel/handoffs.ts';
import { LOGGER } from '../../kernel/log.ts';
import type { Job } from '../../queue/job.ts';
import { Outbox } from '../../queue/outbox.ts';
import { done, later, type Step, type StepGround, type StepResult } from '../step.ts';
import type { Attempt, LaneTurn, OutboundMessage } from './lane-messages.store.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import type { RisProfile } from './profile-settings.ts';
import type { RisDestination } from './ris-destination.ts';
import { RisDestinations } from './ris-destinations.ts';

/** First wait after a failure; doubled with each further one. */
export const RETRY_FIRST_MS = 500;
/** A RIS that comes back is noticed within this time. */
export const RETRY_MAX_MS = 30_000;
/** A destination that was released is sent to within this time. */
export const HELD_LOOK_MS = 1_000;
/** Then the job goes back to its queue, where a person sees why it waits. */
const HELD_WAIT_MS = 30_000;
/** So many messages of one lane follow each other while other lanes wait; then these come first. */
const IN_A_ROW_MAX = 20;
/** After so many it is looked whether others do, beside the sending. */
const IN_A_ROW_LOOK = 12;

/** One run of a lane's job. */
interface LaneRun {
  readonly handoff: LaneDue;
  readonly job: Job<LaneDue>;
  readonly ground: StepGround;
  readonly destination: RisDestination;
}

type Later = Extract<StepResult<never>, { readonly kind: 'later' }>;

/** A message is over and its lane goes on, or the lane waits. */
type AfterSend = { readonly after: OutboundMessage | null } | Later;

/** Whoever has the job now sends what is first in its lane, this message again. */
const CLAIM_LOST: Later = { kind: 'later', afterMs: 0, why: 'the claim was lost' };

/**
 * Sends what waits in a lane, one message after the other: each is acknowledged before the next leaves, and what is not acknowledged goes again, the same bytes
 * with the same control id. A held destination keeps the places of its own queue and nobody else's.
 */
@Injectable()
export class RisSendStep implements Step<LaneDue, never>, BeforeApplicationShutdown {
  readonly name = 'ris-send';
  readonly tells = true;
  private stopping = false;

  constructor(
    private readonly database: Database,
    private readonly messages: OutboundMessageStore,
    private readonly destinations: RisDestinations,
    private readonly outbox: Outbox,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  /** One queue per named destination, beside that of `RIS_URL`. */
  get queues(): readonly string[] {
    const named = this.destinations.all.filter((one) => one.isNamed);
    return [risSendQueue(), ...named.map((one) => risSendQueue(one.name))];
  }

  beforeApplicationShutdown(): void {
    this.stopping = true;
  }

  async run(handoff: LaneDue, job: Job<LaneDue>, ground: StepGround): Promise<StepResult<never>> {
    const { destinations } = this;
    const name = handoff.destination;
    const destination = name === undefined ? destinations.simple : destinations.named(name);
    if (destination === null) return later(RETRY_MAX_MS, 'no RIS configured');
    const run = { handoff, job, ground, destination };
    // An earlier run did not come to its end: what is first in the lane may have left with it.
    let isUncertain = job.attempt > 1;
    for (const heldUntil = performance.now() + HELD_WAIT_MS; ; ) {
      const head = await this.messages.takeUp(handoff.lane);
      const held = 'held' in head ? head.held : await this.heldToday(head, destination);
      if (held === null && !('held' in head)) {
        if (isUncertain) await this.messages.mayHaveBeenSent(head);
        isUncertain = false;
        const result = await this.sendFrom(run, head);
        if (result !== null) return result;
      } else if (held === 'lane') {
        return later(RETRY_MAX_MS, 'the lane is held');
      } else if (held === 'destination') {
        // It looks from here, not from the queue: thousands of lanes that are taken up and put back would cost more than they are worth.
        if (!(await this.isReleased(destination, heldUntil)))
          return later(HELD_LOOK_MS / 10, 'the destination is held');
      } else if ('held' in head && head.isEmpty) {
        // What is added meanwhile makes the job run again: it is not gone then. One that a crash of the database machine brings back finds the lane empty.
        return done<never>(null, { durable: false });
      } else {
        return later(HELD_LOOK_MS, 'it was held a moment ago');
      }
    }
  }

  /** From a message that is taken up until the lane waits, is empty or makes room. Null: whoever looks sees why nothing follows. */
  private async sendFrom(run: LaneRun, head: OutboundMessage): Promise<StepResult<never> | null> {
    const { destination, ground } = run;
    let others = Promise.resolve(false);
    let message = head;
    for (let inARow = 1; ; inARow += 1) {
      // Somebody else may have the lane already, and send this message.
      if (!ground.claim.isHeld()) return CLAIM_LOST;
      if ((await this.heldToday(message, destination)) !== null) return null;
      if (inARow === IN_A_ROW_LOOK) others = this.othersWait(run.job.queue);
      const makesRoom = this.stopping || (inARow >= IN_A_ROW_MAX && (await others));
      if (inARow === IN_A_ROW_MAX) inARow = 0;
      const sent = await this.send(run, message, !makesRoom);
      if ('kind' in sent) return sent;
      if (makesRoom) return later(0, 'other lanes come first', { behind: true });
      if (sent.after === null) return null;
      message = sent.after;
    }
  }

  /** Made for an earlier address of RIS_URL: a hold of today's is one of this message too. */
  private async heldToday(message: OutboundMessage, { name }: RisDestination): Promise<'destination' | null> {
    if (message.destination === name) return null;
    return (await this.messages.isHeld(name)) ? 'destination' : null;
  }

  private othersWait(queue: string): Promise<boolean> {
    return this.outbox.othersWait(this.database, queue).catch(() => false);
  }

  private async isReleased({ name }: RisDestination, until: number): Promise<boolean> {
    while (performance.now() < until && !this.stopping) {
      await sleep(HELD_LOOK_MS, undefined, { ref: false });
      if (!(await this.messages.isHeld(name))) return true;
    }
    return false;
  }

  private async send(run: LaneRun, message: OutboundMessage, goOn: boolean): Promise<AfterSend> {
    const { destination } = run;
    const startedAt = new Date();
    const profile = await destination.profile();
    try {
      const ack = await destination.send(message.raw, message.controlId);
      return await this.afterAnswer({ ...run, goOn }, message, profile, ack, startedAt);
    } catch (error) {
      if (!(error instanceof Failure) || !error.code.startsWith('hl7.')) throw error;
      const outcome = OUTCOMES[error.code] ?? 'connection';
      await this.messages.failed(message.id, { startedAt, outcome, ack: null, error: error.code }, false);
      return this.waits(run, message, startedAt, waitAfter(message.attempts), error.code);
    }
  }

  private async afterAnswer(
    run: LaneRun & { readonly goOn: boolean },
    message: OutboundMessage,
    profile: RisProfile,
    ack: Acknowledgement,
    startedAt: Date,
  ): Promise<AfterSend> {
    const number = /^\d{3}$/.test(ack.errorCode) ? ack.errorCode : null;
    const why = [ack.code, ...(number === null ? [] : [number])].join(' ');
    const attempt = { startedAt, outcome: ack.code, ack: ack.raw };
    if (ack.code === 'AA' || (ack.code === 'CA' && profile.commitIsSuccess))
      return this.end(run, message, 'acknowledged', { ...attempt, error: null });
    const ended = { ...attempt, error: why };
    const isReject = ack.code === 'AR' || ack.code === 'CR';
    const rule = isReject ? profile.onReject : profile.onError;
    if (rule === 'hold-lane') {
      await this.messages.failed(message.id, ended, true);
      await this.messages.holdLane(message, why);
      return this.waits(run, message, startedAt, RETRY_MAX_MS, `the RIS answered ${why}: the lane is held`);
    }
    if (rule === 'dead-letter') {
      if (isReject)
        return this.giveUp(run, message, 'rejected', ended, `the RIS rejected the message: ${why}`);
      return this.giveUp(run, message, 'given-up', ended, `the RIS answered ${why}`);
    }
    const answered = message.errorsAnswered + 1;
    if (answered >= profile.errorsMax)
      return this.giveUp(run, message, 'given-up', ended, `the RIS answered ${why} ${answered} times`);
    await this.messages.failed(message.id, ended, true);
    return this.waits(run, message, startedAt, waitAfter(answered - 1), `the RIS answered ${why}`);
  }

  /** A dead letter of its own; the lane goes on. */
  private async giveUp(
    run: LaneRun & { readonly goOn: boolean },
    message: OutboundMessage,
    state: 'rejected' | 'given-up',
    attempt: Attempt,
    why: string,
  ): Promise<AfterSend> {
    const { queue } = run.job;
    const payload = inLane(run, message);
    let id: string | null = null;
    const sent = await this.end(run, message, state, attempt, {
      why,
      write: async (tx) => {
        // Somebody may have discarded it while it was on its way.
        const isDead = await this.messages.isDead(tx, message.id);
        const attempts = message.attempts + 1;
        id = isDead ? await this.outbox.bury(tx, { queue, payload }, { why, attempts }) : null;
      },
    });
    if (id !== null && 'after' in sent)
      this.log.warn({ queue, job: id, code: 'given-up' }, 'job given up: a dead letter');
    return sent;
  }

  private async end(
    { goOn, ...run }: LaneRun & { readonly goOn: boolean },
    message: OutboundMessage,
    state: LaneTurn['state'],
    attempt: Attempt,
    more: { readonly why?: string; readonly write?: LaneTurn['write'] } = {},
  ): Promise<AfterSend> {
    const { job, ground } = run;
    const after = await this.messages.end({
      lane: message.lane,
      messageId: message.id,
      state,
      attempt,
      jobId: job.id,
      runner: ground.claim.runner,
      goOn,
      write: more.write,
    });
    if (after === 'lost') return CLAIM_LOST;
    ground.progressed();
    this.tell(run, message, attempt.startedAt, state === 'acknowledged' ? 'done' : 'given-up', more.why);
    return { after };
  }

  private waits(
    run: LaneRun,
    message: OutboundMessage,
    startedAt: Date,
    afterMs: number,
    why: string,
  ): AfterSend {
    this.tell(run, message, startedAt, 'later', why);
    return { kind: 'later', afterMs, why };
  }

  private tell(
    run: LaneRun,
    message: OutboundMessage,
    startedAt: Date,
    end: 'done' | 'given-up' | 'later',
    why: string | null = null,
  ): void {
    run.ground.tell({ end, why, handoff: inLane(run, message), queuedAt: message.createdAt, startedAt });
  }
}

const inLane = ({ handoff }: LaneRun, { id, lane }: OutboundMessage): OruStored => ({
  messageId: id,
  lane,
  ...(handoff.destination === undefined ? {} : { destination: handoff.destination }),
});

const OUTCOMES: Readonly<Record<string, string>> = {
  'hl7.connection': 'connection',
  'hl7.ack-timeout': 'timeout',
  'hl7.ack-unreadable': 'unreadable',
  'hl7.ack-foreign': 'foreign',
};

/** Doubles, with a fifth more or less by chance, so that lanes do not knock together. */
function waitAfter(failures: number): number {
  const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(wait * (0.8 + Math.random() * 0.4));
}
