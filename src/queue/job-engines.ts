import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { LOGGER } from '../kernel/log.ts';
import type { JobHandler } from './job.ts';
import { Outbox } from './outbox.ts';
import { redisConnection } from './redis-options.ts';
import { Runner } from './runner.ts';

/** Chooses who runs the outbox: this process alone, or Bull on Redis when `REDIS_URL` is set. */
@Injectable()
export class JobEngines implements OnApplicationShutdown {
  private engine: { stop(): Promise<void> } | null = null;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  private readonly others: JobHandler[] = [];

  /** Jobs of a folder that the flow does not know; call it before `start`, when a module is made. */
  alsoRun(handlers: readonly JobHandler<never>[]): void {
    this.others.push(...(handlers as readonly JobHandler[]));
  }

  /** A process without the role `worker` writes jobs and leaves them to others. */
  async start(ofFlow: readonly JobHandler[]): Promise<void> {
    const handlers = [...ofFlow, ...this.others];
    const work = this.settings.PRELIM_ROLES.includes('worker');
    const redis = redisConnection(this.settings);
    if (redis) {
      const { BullEngine } = await import('./bull-engine.ts'); // Bull and its Redis client are loaded only where they are used
      const bull = new BullEngine(this.database, this.outbox, handlers, redis, this.log);
      await bull.start({ work });
      this.engine = bull;
    } else if (work) {
      const runner = new Runner(this.database, this.outbox, handlers, this.log);
      await runner.start();
      this.engine = runner;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine?.stop();
  }
}
