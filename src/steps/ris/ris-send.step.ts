import { Injectable } from '@nestjs/common';
import type { Acknowledgement } from '../../hl7/ack.ts';
import { Failure } from '../../kernel/errors.ts';
import type { OruStored } from '../../kernel/handoffs.ts';
import { done, givenUp, later, type Step, type StepResult, skipped } from '../step.ts';
import { type OutboundMessage, OutboundMessageStore } from './outbound-message.store.ts';
import { RisDestination } from './ris-destination.ts';

/** First wait after a failure; doubled with each further one. */
export const RETRY_FIRST_MS = 500;
/** A RIS that comes back is noticed within this time. */
export const RETRY_MAX_MS = 30_000;
/** AE means "try again"; a message that is answered so this often (about nine minutes) is seen to by a person. */
export const ERRORS_ANSWERED_MAX = 25;

/**
 * Sends one stored message and waits for its acknowledgement: the same bytes with the same control id, however often it takes.
 * The lane holds back what follows for the same patient until this one has ended.
 */
@Injectable()
export class RisSendStep implements Step<OruStored, OruStored> {
  readonly name = 'ris-send';

  constructor(
    private readonly messages: OutboundMessageStore,
    private readonly destination: RisDestination,
  ) {}

  async run(handoff: OruStored): Promise<StepResult<OruStored>> {
    const message = await this.messages.read(handoff.messageId);
    if (message === null) return skipped('the message is gone');
    if (message.state !== 'waiting') return skipped(`the message is ${message.state}`);
    if (this.destination.name === null) return later(RETRY_MAX_MS, 'no RIS configured');
    await this.messages.sending(message.id);
    try {
      const ack = await this.destination.send(message.raw, message.controlId);
      return await this.afterAnswer(handoff, message, ack);
    } catch (error) {
      if (!(error instanceof Failure) || !error.code.startsWith('hl7.')) throw error;
      await this.messages.failed(message.id, error.code, null);
      return later(waitAfter(message.attempts), error.code);
    }
  }

  private async afterAnswer(
    handoff: OruStored,
    message: OutboundMessage,
    ack: Acknowledgement,
  ): Promise<StepResult<OruStored>> {
    const why = [ack.code, ...(/^\d{3}$/.test(ack.errorCode) ? [ack.errorCode] : [])].join(' ');
    if (ack.code === 'AA' || ack.code === 'CA') {
      return done<OruStored>(handoff, {
        write: (tx) => this.messages.end(tx, message.id, 'acknowledged', ack.raw, null),
      });
    }
    if (ack.code === 'AR' || ack.code === 'CR') {
      return givenUp(`the RIS rejected the message: ${why}`, (tx) =>
        this.messages.end(tx, message.id, 'rejected', ack.raw, why),
      );
    }
    await this.messages.failed(message.id, why, ack.raw);
    const answered = message.errorsAnswered + 1;
    if (answered < ERRORS_ANSWERED_MAX) return later(waitAfter(answered - 1), `the RIS answered ${why}`);
    return givenUp(`the RIS answered ${why} ${answered} times`, (tx) =>
      this.messages.end(tx, message.id, 'given-up', ack.raw, why),
    );
  }
}

/** Doubles, with a fifth more or less by chance, so that lanes do not knock together. */
function waitAfter(failures: number): number {
  const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(wait * (0.8 + Math.random() * 0.4));
}
