import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { Failure } from '../../kernel/errors.ts';
import { type OruStored, risSendQueue } from '../../kernel/handoffs.ts';
import type { Ahead } from '../../queue/job.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import type { OutboundMessage } from './message-starts.store.ts';
import { type Attempt, OutboundMessageStore } from './outbound-message.store.ts';
import type { RisProfile } from './profile-settings.ts';
import { RisDestinations } from './ris-destinations.ts';

/** First wait after a failure; doubled with each further one. */
export const RETRY_FIRST_MS = 500;
/** A RIS that comes back is noticed within this time. */
export const RETRY_MAX_MS = 30_000;
/** A destination that was released is sent to within this time. */
export const HELD_LOOK_MS = 1_000;
/** Then the job goes back to its queue, where a person sees why it waits. */
const HELD_WAIT_MS = 30_000;

/**
 * Sends one stored message and waits for its acknowledgement: the same bytes with the same control id, however often it takes.
 * The lane holds back what follows for the same patient until this one has ended. A held destination keeps the places of its own queue and nobody else's.
 */
@Injectable()
export class RisSendStep implements Step<OruStored, OruStored>, BeforeApplicationShutdown {
  readonly name = 'ris-send';
  private stopping = false;

  constructor(
    private readonly messages: OutboundMessageStore,
    private readonly destinations: RisDestinations,
  ) {}

  /** One queue per named destination, beside that of `RIS_URL`. */
  get queues(): readonly string[] {
    const named = this.destinations.all.filter((one) => one.isNamed);
    return [risSendQueue(), ...named.map((one) => risSendQueue(one.name))];
  }

  get ahead(): Ahead {
    return this.messages.ahead;
  }

  beforeApplicationShutdown(): void {
    this.stopping = true;
  }

  async run(handoff: OruStored): Promise<StepResult<OruStored>> {
    const { destinations } = this;
    const name = handoff.destination;
    const destination = name === undefined ? destinations.simple : destinations.named(name);
    const message = await this.messages.start(handoff.messageId, handoff.lane);
    if ('held' in message) {
      if (message.held === 'destination') return this.waitWhileHeld(handoff, message.state);
      if (message.held === 'lane' && message.state === 'waiting')
        return later(RETRY_MAX_MS, 'the lane is held');
      return skipped(`the message is ${message.state}`);
    }
    if (destination === null) return later(RETRY_MAX_MS, 'no RIS configured');
    // Made for an earlier address of RIS_URL: a hold of today's is one of this message too.
    if (message.destination !== destination.name && (await this.messages.isHeld(destination.name)))
      return this.waitWhileHeld(handoff, 'waiting');
    const startedAt = new Date();
    const profile = await destination.profile();
    try {
      const ack = await destination.send(message.raw, message.controlId);
      return await this.afterAnswer(handoff, message, profile, ack, startedAt);
    } catch (error) {
      if (!(error instanceof Failure) || !error.code.startsWith('hl7.')) throw error;
      const outcome = OUTCOMES[error.code] ?? 'connection';
      await this.messages.failed(message.id, { startedAt, outcome, ack: null, error: error.code }, false);
      return later(waitAfter(message.attempts - 1), error.code);
    }
  }

  /** It looks from here, not from the queue: thousands of messages that are taken up and put back would cost more than they are worth. */
  private async waitWhileHeld(handoff: OruStored, state: string): Promise<StepResult<OruStored>> {
    if (state !== 'waiting') return skipped(`the message is ${state}`);
    for (const end = performance.now() + HELD_WAIT_MS; performance.now() < end && !this.stopping; ) {
      await sleep(HELD_LOOK_MS, undefined, { ref: false });
      const name = handoff.destination ?? this.destinations.simple?.name ?? '';
      if (!(await this.messages.isHeld(name))) break;
    }
    return later(HELD_LOOK_MS / 10, 'the destination is held');
  }

  private async afterAnswer(
    handoff: OruStored,
    message: OutboundMessage,
    profile: RisProfile,
    ack: Acknowledgement,
    startedAt: Date,
  ): Promise<StepResult<OruStored>> {
    const number = /^\d{3}$/.test(ack.errorCode) ? ack.errorCode : null;
    const why = [ack.code, ...(number === null ? [] : [number])].join(' ');
    const attempt = { startedAt, outcome: ack.code, ack: ack.raw };
    if (ack.code === 'AA' || (ack.code === 'CA' && profile.commitIsSuccess)) {
      return done<OruStored>(handoff, {
        write: (tx) => this.messages.end(tx, message.id, 'acknowledged', { ...attempt, error: null }),
      });
    }
    const ended = { ...attempt, error: why };
    const isReject = ack.code === 'AR' || ack.code === 'CR';
    const rule = isReject ? profile.onReject : profile.onError;
    if (rule === 'hold-lane') return this.hold(message, ended, why);
    if (rule === 'dead-letter') {
      const end = isReject ? 'rejected' : 'given-up';
      const words = isReject ? 'the RIS rejected the message' : 'the RIS answered';
      const text = isReject ? `${words}: ${why}` : `${words} ${why}`;
      return givenUp(text, (tx) => this.messages.end(tx, message.id, end, ended));
    }
    return this.tryAgain(message, profile, ended, why);
  }

  private async hold(
    message: OutboundMessage,
    attempt: Attempt,
    why: string,
  ): Promise<StepResult<OruStored>> {
    await this.messages.failed(message.id, attempt, true);
    await this.messages.holdLane(message, why);
    return later(RETRY_MAX_MS, `the RIS answered ${why}: the lane is held`);
  }

  private async tryAgain(
    message: OutboundMessage,
    profile: RisProfile,
    attempt: Attempt,
    why: string,
  ): Promise<StepResult<OruStored>> {
    const answered = message.errorsAnswered + 1;
    if (answered >= profile.errorsMax) {
      return givenUp(`the RIS answered ${why} ${answered} times`, (tx) =>
        this.messages.end(tx, message.id, 'given-up', attempt),
      );
    }
    await this.messages.failed(message.id, attempt, true);
    return later(waitAfter(answered - 1), `the RIS answered ${why}`);
  }
}

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
