import type { Logger } from 'pino';
import type { EmbeddedPostgres } from './embedded-postgres.ts';

/** A database that died is missed for this long at most before it is started again; while it lives a look costs nothing. */
export const EMBEDDED_LOOK_MS = 500;

/** Starts the embedded database again when it has died while the server runs (out of memory, somebody's `kill`). */
export class EmbeddedWatch {
  private readonly timer: NodeJS.Timeout;
  private looking: Promise<void> | null = null;
  private away = false;

  constructor(
    private readonly embedded: EmbeddedPostgres,
    private readonly log: Logger,
  ) {
    this.timer = setInterval(() => {
      this.looking ??= this.look().finally(() => {
        this.looking = null;
      });
    }, EMBEDDED_LOOK_MS).unref();
  }

  /** No start any more from here on; one that is under way is waited for. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  private async look(): Promise<void> {
    try {
      if (await this.embedded.revive())
        this.log.error('the embedded PostgreSQL had died and was started again');
      if (this.away) this.log.info('the embedded PostgreSQL answers again');
      this.away = false;
    } catch {
      if (!this.away)
        this.log.error('the embedded PostgreSQL does not answer; its log is server.log in its folder');
      this.away = true;
    }
  }
}
