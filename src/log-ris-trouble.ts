import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { FlowRunner, type StepEnded } from './flow/flow-runner.ts';
import { LOGGER } from './kernel/log.ts';

/** A refused message is tried again within half a minute, here or in another worker: one not heard of for this long is no trouble of ours any more. */
export const REFUSED_FORGOTTEN_MS = 120_000;

/**
 * Says once that the RIS is in trouble and once that it is over, not at each of the thousands of tries in between. There are two kinds: the RIS does not
 * answer (any answer ends it), and it answers AE to some messages (it ends when none of them is left).
 */
@Injectable()
export class LogRisTrouble implements OnModuleInit {
  private awaySince: number | null = null;
  private refusedSince: number | null = null;
  /** Messages answered AE, and when last. */
  private readonly refused = new Map<string, number>();

  constructor(
    private readonly flow: FlowRunner,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  onModuleInit(): void {
    this.flow.watch((ended) => this.hear(ended, Date.now()));
  }

  hear({ step, end, why, handoff }: Pick<StepEnded, 'step' | 'end' | 'why' | 'handoff'>, now: number): void {
    if (step !== 'ris-send' || end === 'skipped') return;
    // Reasons that begin so hold an answer of the RIS; others are our own codes (`hl7.…`), or that no RIS is configured.
    const answered = end === 'done' || why?.startsWith('the RIS ') === true;
    if (!answered && end === 'later') {
      if (this.awaySince === null) this.log.warn({ code: why }, 'the RIS does not take messages; they wait');
      this.awaySince ??= now;
      return;
    }
    if (answered && this.awaySince !== null) {
      this.over(now - this.awaySince, 'the RIS answers again');
      this.awaySince = null;
    }
    const { messageId } = handoff as { messageId?: string };
    if (messageId) this.hearAnswer(messageId, end, why, now);
  }

  private hearAnswer(messageId: string, end: StepEnded['end'], why: string | null, now: number): void {
    if (end === 'later') {
      if (this.refusedSince === null)
        this.log.warn({ code: why }, 'the RIS answers with an error; the message is sent again');
      this.refusedSince ??= now;
      this.refused.set(messageId, now);
    } else {
      this.refused.delete(messageId);
    }
    for (const [id, at] of this.refused) if (now - at > REFUSED_FORGOTTEN_MS) this.refused.delete(id);
    if (this.refusedSince === null || this.refused.size > 0) return;
    this.over(now - this.refusedSince, 'no message is answered with an error any more');
    this.refusedSince = null;
  }

  private over(ms: number, message: string): void {
    this.log.warn({ after_s: Math.round(ms / 1_000) }, message);
  }
}
