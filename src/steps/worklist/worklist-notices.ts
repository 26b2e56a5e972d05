import pg from 'pg';
import type { Database } from '../../database/database.ts';
import { WORKLIST_CHANNEL } from './worklist.feed.ts';

const RECONNECT_MS = 500;

/** Hears of changes made by other processes, on a connection of its own (LISTEN holds one for as long as it listens). */
export class WorklistNotices {
  private client: pg.Client | null = null;
  private starting: Promise<void> | null = null;
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly heard: (payload: string) => void,
    /** The connection was lost for a while: notices may have been missed. */
    private readonly regained: () => void,
  ) {}

  /** Resolves once it listens; the first page that opens starts it, so a process without pages holds no connection. */
  start(): Promise<void> {
    this.starting ??= this.connect().catch((error: unknown) => {
      this.starting = null;
      throw error;
    });
    return this.starting;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const client = this.client;
    this.client = null;
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const options = this.database.connectionOptions();
    const client = new pg.Client({ ...options, application_name: 'prelim worklist' });
    client.on('error', () => this.lost(client));
    client.on('end', () => this.lost(client));
    client.on('notification', (message) => this.heard(message.payload ?? ''));
    await client.connect();
    await client.query(`LISTEN ${WORKLIST_CHANNEL}`);
    this.client = client;
  }

  private lost(client: pg.Client): void {
    if (this.stopped || this.client !== client) return;
    this.client = null;
    this.retry();
  }

  private retry(): void {
    setTimeout(() => {
      if (this.stopped) return;
      this.connect().then(this.regained, () => this.retry());
    }, RECONNECT_MS).unref();
  }
}
