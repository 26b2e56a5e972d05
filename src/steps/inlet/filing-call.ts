import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { FILING_KEY, FILING_QUEUE } from '../../kernel/handoffs.ts';
import { Outbox } from '../../queue/outbox.ts';
import { InboundMessageStore } from './inbound-message.store.ts';

/** Calls do not follow each other faster: the job that is called files all that waits, and what comes while it runs. */
export const CALL_GAP_MS = 100;
/** Finds messages whose call was lost, with the process or with the database. */
export const SWEEP_MS = 5_000;

/**
 * Calls the filing of what was stored: one job at a time, kept apart by its key. A message's own row says that it waits; the call is
 * written after the answer, beside the way of the messages, because the job's row is locked while the job ends. A call that is lost is made up for
 * by a look at the table: at start and every few seconds.
 */
@Injectable()
export class FilingCall implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private calling: Promise<void> | null = null;
  private again = false;
  private sweeper: NodeJS.Timeout | null = null;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly messages: InboundMessageStore,
  ) {}

  onApplicationBootstrap(): void {
    this.sweeper = setInterval(() => void this.sweep(), SWEEP_MS).unref();
    void this.sweep();
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.sweeper) clearInterval(this.sweeper);
    this.sweeper = null;
    await this.calling;
  }

  /** Something was stored. Never throws. */
  call(): void {
    this.again = true;
    this.calling ??= this.callAll().finally(() => {
      this.calling = null;
    });
  }

  private async callAll(): Promise<void> {
    while (this.again) {
      this.again = false;
      await this.write().catch(() => undefined); // the sweep makes up for it
      await new Promise((resolve) => setTimeout(resolve, CALL_GAP_MS));
    }
  }

  private write(): Promise<void> {
    const request = { queue: FILING_QUEUE, key: FILING_KEY, payload: {} };
    return this.database.transaction((tx) => this.outbox.add(tx, [request]), { durable: false });
  }

  private async sweep(): Promise<void> {
    if (await this.messages.waits().catch(() => false)) this.call();
  }
}
