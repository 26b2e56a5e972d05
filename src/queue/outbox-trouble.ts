import type { Logger } from 'pino';
import { whyUnavailable } from '../database/connection-failure.ts';

/** A database whose disk is full answers one look and refuses the next, every second, all night: it is well when it has been so for a while. */
export const WELL_AFTER_MS = 10_000;

/** Says once that the outbox cannot be read, and once that it can again. */
export class OutboxTrouble {
  private troubledAt: number | null = null;

  constructor(
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  failed(error: unknown, about: object = {}): void {
    if (this.troubledAt === null)
      this.log.warn({ ...about, why: whyUnavailable(error) }, 'the outbox could not be read; trying again');
    this.troubledAt = this.now();
  }

  read(): void {
    if (this.troubledAt === null || this.now() - this.troubledAt < WELL_AFTER_MS) return;
    this.troubledAt = null;
    this.log.info('the outbox can be read again');
  }
}
