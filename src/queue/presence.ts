import { randomInt } from 'node:crypto';
import pg from 'pg';
import type { Database } from '../database/database.ts';

/** First key of the advisory locks that say "this runner is alive"; any number that nothing else uses. */
export const PRESENCE_LOCK = 7_263_542;
const RECONNECT_MS = 500;
const CONNECT_MS_MAX = 5_000;

/**
 * The life sign of a process that runs jobs: one connection of its own that holds an advisory lock under the process's number and
 * listens for rows of other processes. PostgreSQL drops the lock when the process dies in whatever way, so no lease has to
 * run out before somebody else takes over its jobs.
 */
export class Presence {
  /** Our number while the lock is held; null while the connection is lost. */
  private held: number | null = null;
  private client: pg.Client | null = null;
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly heard: (queue: string) => void,
    private readonly regained: () => void,
  ) {}

  get number(): number | null {
    return this.held;
  }

  async start(): Promise<void> {
    const options = this.database.connectionOptions();
    const client = new pg.Client({
      ...options,
      application_name: 'prelim presence',
      connectionTimeoutMillis: CONNECT_MS_MAX,
    });
    client.on('error', () => this.lost(client));
    client.on('end', () => this.lost(client));
    client.on('notification', (message) => this.heard(message.payload ?? ''));
    try {
      await client.connect();
      const number = await lockFreeNumber(client);
      await client.query('LISTEN outbox');
      if (this.stopped) return await client.end();
      this.client = client;
      this.held = number;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.held = null;
    await this.client?.end().catch(() => undefined);
  }

  /**
   * Gives our number up and takes another. For when we do not know which rows stand under it: an answer of the database was lost. All of them
   * go back to waiting, and jobs that run now are undone and run again.
   */
  renew(): void {
    const client = this.client;
    if (!client) return;
    this.lost(client);
    void client.end().catch(() => undefined);
  }

  private lost(client: pg.Client): void {
    if (this.stopped || this.client !== client) return;
    this.client = null;
    this.held = null; // jobs that run now will find their claim gone, and undo what they did
    this.retry();
  }

  private retry(): void {
    setTimeout(() => {
      if (this.stopped) return;
      this.start().then(this.regained, () => this.retry());
    }, RECONNECT_MS).unref();
  }
}

async function lockFreeNumber(client: pg.Client): Promise<number> {
  for (;;) {
    const number = randomInt(1, 2 ** 31 - 1);
    const { rows } = await client.query('SELECT pg_try_advisory_lock($1, $2) AS ok', [PRESENCE_LOCK, number]);
    if (rows[0].ok) return number;
  }
}
