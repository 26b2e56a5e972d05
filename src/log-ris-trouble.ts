import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { FlowRunner, type StepEnded } from './flow/flow-runner.ts';
import { LOGGER } from './kernel/log.ts';

/** A refused message is tried again within half a minute, here or in another worker: one not heard of for this long is no trouble of ours any more. */
export const REFUSED_FORGOTTEN_MS = 120_000;

/** What is wrong with one receiver. */
interface Trouble {
  awaySince: number | null;
  refusedSince: number | null;
  /** Messages answered AE, and when last. */
  readonly refused: Map<string, number>;
}

/** Name of the receiver of `RIS_URL`: its address is not for the log of a trouble. */
const SIMPLE = 'RIS_URL';

/**
 * Says once that a receiver is in trouble and once that it is over, not at each of the thousands of tries in between. There are two kinds: it does not
 * answer (any answer ends it), and it answers AE to some messages (it ends when none of them is left). Each destination has its own.
 */
@Injectable()
export class LogRisTrouble implements OnModuleInit {
  private readonly troubles = new Map<string, Trouble>();

  constructor(
    private readonly flow: FlowRunner,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  onModuleInit(): void {
    // A clock that is set right meanwhile ends no trouble, and makes none last less than nothing.
    this.flow.watch((ended) => this.hear(ended, performance.now()));
  }

  hear({ step, end, why, handoff }: Pick<StepEnded, 'step' | 'end' | 'why' | 'handoff'>, now: number): void {
    // What a person holds is no trouble of the receiver.
    if (step !== 'ris-send' || end === 'skipped' || why?.endsWith(' is held') === true) return;
    const { messageId, destination = SIMPLE } = handoff as { messageId?: string; destination?: string };
    const trouble = this.troubles.get(destination) ?? {
      awaySince: null,
      refusedSince: null,
      refused: new Map(),
    };
    this.troubles.set(destination, trouble);
    // Reasons that begin so hold an answer of the RIS; others are our own codes (`hl7.…`), or that no RIS is configured.
    const answered = end === 'done' || why?.startsWith('the RIS ') === true;
    if (!answered && end === 'later') {
      if (trouble.awaySince === null)
        this.log.warn({ destination, code: why }, 'the RIS does not take messages; they wait');
      trouble.awaySince ??= now;
      return;
    }
    if (answered && trouble.awaySince !== null) {
      this.over(destination, now - trouble.awaySince, 'the RIS answers again');
      trouble.awaySince = null;
    }
    if (messageId) this.hearAnswer(destination, trouble, messageId, { end, why }, now);
  }

  private hearAnswer(
    destination: string,
    trouble: Trouble,
    messageId: string,
    { end, why }: Pick<StepEnded, 'end' | 'why'>,
    now: number,
  ): void {
    const { refused } = trouble;
    if (end === 'later') {
      if (trouble.refusedSince === null)
        this.log.warn({ destination, code: why }, 'the RIS answers with an error; the message is sent again');
      trouble.refusedSince ??= now;
      refused.set(messageId, now);
    } else {
      refused.delete(messageId);
    }
    for (const [id, at] of refused) if (now - at > REFUSED_FORGOTTEN_MS) refused.delete(id);
    if (trouble.refusedSince === null || refused.size > 0) return;
    this.over(destination, now - trouble.refusedSince, 'no message is answered with an error any more');
    trouble.refusedSince = null;
  }

  private over(destination: string, ms: number, message: string): void {
    this.log.warn({ destination, after_s: Math.round(ms / 1_000) }, message);
  }
}
