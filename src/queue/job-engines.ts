import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.ts';
import { SETTINGS } from '../config/settings.token.ts';
import { Database } from '../database/database.ts';
import { LOGGER } from '../kernel/log.ts';
import type { JobHandler } from './job.ts';
import { KeptFileStore } from './kept-file.store.ts';
import { Outbox } from './outbox.ts';
import { Runner } from './runner.ts';

/** A dead letter may be replayed for so long and still find its picture. */
const KEPT_FILE_DAYS = 30;
const FILE_SWEEP_MS = 3_600_000;

/** Chooses who runs the outbox: this process alone, or Bull on Redis when `REDIS_URL` is set. */
@Injectable()
export class JobEngines implements OnApplicationShutdown {
  private engine: { stop(): Promise<void> } | null = null;

  private sweeper: NodeJS.Timeout | null = null;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly files: KeptFileStore,
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** A process without the role `worker` writes jobs and leaves them to others. */
  async start(handlers: readonly JobHandler[]): Promise<void> {
    this.sweeper = setInterval(() => this.sweepFiles(), FILE_SWEEP_MS).unref();
    const work = this.settings.PRELIM_ROLES.includes('worker');
    if (this.settings.REDIS_URL) {
      const { BullEngine } = await import('./bull-engine.ts'); // Bull and its Redis client are loaded only where they are used
      const bull = new BullEngine(this.database, this.outbox, handlers, this.settings.REDIS_URL.href, this.log);
      await bull.start({ work });
      this.engine = bull;
    } else if (work) {
      const runner = new Runner(this.database, this.outbox, handlers, this.log);
      await runner.start();
      this.engine = runner;
    }
  }

  /** Files whose way ended before they were used up. */
  private sweepFiles(): void {
    this.files.sweep(KEPT_FILE_DAYS).catch((error: Error) => this.log.warn({ err: error.name }, 'kept files were not swept'));
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.sweeper) clearInterval(this.sweeper);
    await this.engine?.stop();
  }
}
