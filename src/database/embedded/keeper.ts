import pg from 'pg';

/** First key of the advisory lock that every user of the embedded database shares; any number that nothing else uses. */
const USERS_LOCK = 7_263_543;
const CONNECT_MS_MAX = 5_000;

/**
 * Our share in the embedded database: one connection with a shared advisory lock. PostgreSQL drops the lock with the process, however that
 * ends, so the locks count the processes that live. It holds no connection to the database `prelim`, which tests use as a template.
 */
export class Keeper {
  private client: pg.Client | null = null;

  constructor(private readonly url: string) {}

  /** Is our share held? False from the moment the database goes away. */
  get holds(): boolean {
    return this.client !== null;
  }

  /** Takes the share. Rejects while the database does not answer. */
  async join(): Promise<void> {
    if (this.client) return;
    const client = new pg.Client({
      connectionString: this.url.replace('/prelim?', '/postgres?'),
      application_name: 'prelim keeper',
      connectionTimeoutMillis: CONNECT_MS_MAX,
    });
    const lost = () => {
      if (this.client === client) this.client = null;
    };
    client.on('error', lost);
    client.on('end', lost);
    try {
      await client.connect();
      await client.query('SELECT pg_advisory_lock_shared($1)', [USERS_LOCK]);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.client = client;
  }

  /**
   * Gives the share back; runs `last` when nobody else has one. While it runs the lock is held alone, so that a process which starts at this
   * moment waits, loses its connection, and starts the database anew.
   */
  async leave(last: () => Promise<void>): Promise<void> {
    await this.join().catch(() => undefined);
    const client = this.client;
    this.client = null;
    if (!client) return last(); // it does not answer: nobody works with it
    try {
      await client.query('SELECT pg_advisory_unlock_shared($1)', [USERS_LOCK]);
      const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS alone', [USERS_LOCK]);
      if (rows[0].alone) await last();
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
