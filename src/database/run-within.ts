import pg, { type Pool, type PoolClient } from 'pg';

export interface Watch {
  /** Ends the watch. True: PostgreSQL was asked to stop the statement, so the connection must be closed. */
  end(): boolean;
}

/**
 * Stops what runs on the connection when it takes too long; it then fails with `database.timeout`. PostgreSQL's own `statement_timeout` holds for a
 * connection, and to change it costs a round trip before and after; with a timer of this process a statement in time pays nothing. The
 * connection of a stopped one must be closed: a stop that comes late must not hit the next statement.
 */
export function stopAfter(pool: Pool, client: PoolClient, timeoutMs: number): Watch {
  let stopping = false;
  const timer = setTimeout(() => {
    stopping = true;
    stop(pool, (client as unknown as { processID: number }).processID).catch(() => undefined);
  }, timeoutMs);
  return {
    end() {
      clearTimeout(timer);
      return stopping;
    },
  };
}

/** Over a connection of its own: those of the pool may all be held by statements that take too long. */
async function stop(pool: Pool, processId: number): Promise<void> {
  const client = new pg.Client(pool.options as pg.ClientConfig);
  await client.connect();
  await client.query('SELECT pg_cancel_backend($1)', [processId]).finally(() => client.end());
}
