import pg from 'pg';
import type { Database } from '../database/database.ts';
import { SOCKET_CHANNEL } from './subscription.store.ts';

const RECONNECT_MS = 500;
const CONNECT_MS_MAX = 5_000;

/** Null: any Subscription may have new events. */
export type Tell = (subscriptionId: string | null) => void;

/**
 * Hears of events that any process has committed, on a connection of its own that is opened with the first socket. What was missed while it was
 * lost is made up once it is back: then everybody is told to look.
 */
export class ListenForEvents {
  private client: Promise<pg.Client> | null = null;
  private stopped = false;

  constructor(private readonly database: Database) {}

  /** Once; later calls wait for the same connection. */
  async start(tell: Tell): Promise<void> {
    this.client ??= this.connect(tell).catch((error: unknown) => {
      this.client = null;
      throw error;
    });
    await this.client;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const client = await this.client?.catch(() => null);
    await client?.end().catch(() => undefined);
  }

  private async connect(tell: Tell): Promise<pg.Client> {
    const client = new pg.Client({
      ...this.database.connectionOptions(),
      application_name: 'prelim sockets',
      connectionTimeoutMillis: CONNECT_MS_MAX,
    });
    client.on('error', () => undefined);
    client.on('end', () => this.again(tell));
    client.on('notification', ({ payload = '' }) => tell(payload));
    await client.connect();
    await client.query(`LISTEN ${SOCKET_CHANNEL}`);
    tell(null);
    return client;
  }

  private again(tell: Tell): void {
    this.client = null;
    if (this.stopped) return;
    setTimeout(() => void this.start(tell).catch(() => this.again(tell)), RECONNECT_MS).unref();
  }
}
