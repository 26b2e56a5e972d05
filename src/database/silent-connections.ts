import pg, { type Pool, type PoolClient, type QueryResult } from 'pg';

/**
 * Probes of TCP on a connection that says nothing. The system's own wait is two hours, and a firewall forgets a quiet connection after one: what is
 * asked over it the next morning is answered by nobody. The system then probes each second, ten times.
 */
export const KEPT_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 } as const;

/** How often trips are looked at that have no answer. */
const LOOK_MS = 5_000;
/** Without a byte from PostgreSQL for so long, somebody asks whether it still works on the statement. Most answers take milliseconds. */
export const SILENT_MS_MAX = 20_000;
/** A host that is gone answers no connection. One that has much to do does, within that. */
const PROBE_MS_MAX = 5_000;

/** Trips that have left and have no answer yet, of all pools. */
export const tripsUnderWay = new Set<Trip>();

export interface Trip {
  readonly client: PoolClient;
}

/** A query that is no round trip of ours. */
export async function watchedQuery(client: PoolClient, text: string): Promise<QueryResult> {
  const trip = { client };
  tripsUnderWay.add(trip);
  try {
    return await client.query(text);
  } finally {
    tripsUnderWay.delete(trip);
  }
}

interface Times {
  readonly lookMs: number;
  readonly silentMsMax: number;
}

const TIMES: Times = { lookMs: LOOK_MS, silentMsMax: SILENT_MS_MAX };

interface Seen {
  readonly bytesRead: number;
  readonly at: number;
}

/** Ends by itself with the pool. */
export function watchForSilence(pool: Pool, times: Times = TIMES): void {
  const watch = new SilentConnections(pool, times);
  const timer = setInterval(() => {
    if (pool.ended) clearInterval(timer);
    else void watch.look();
  }, times.lookMs).unref();
}

/**
 * Closes connections whose other end is gone without a word: the machine of the database was switched off, or another one has taken its address. The
 * system would go on sending for a quarter of an hour. A connection that is silent for long is not taken for dead by that, for a statement may
 * take its time: PostgreSQL is asked over a new connection whether its session is still there. Only who knows nothing of it, or cannot be reached,
 * is not waited for. What waited fails as `database.unavailable`.
 */
class SilentConnections {
  private readonly seen = new Map<Trip, Seen>();
  private looking = false;

  constructor(
    private readonly pool: Pool,
    private readonly times: Times,
  ) {}

  async look(): Promise<void> {
    const silent = this.silentTrips();
    if (silent.length === 0 || this.looking) return;
    this.looking = true;
    const alive = await sessionsOf(
      this.pool,
      silent.map(({ client }) => numberOf(client)),
    );
    this.looking = false;
    // One that was answered while we asked is idle now, and well.
    const still = new Set(this.silentTrips());
    for (const trip of silent)
      if (still.has(trip) && !alive(numberOf(trip.client))) socketOf(trip.client).destroy();
  }

  /** Trips of our database whose connection has given no byte since they were first seen without an answer. */
  private silentTrips(): Trip[] {
    const now = performance.now();
    for (const trip of this.seen.keys()) if (!tripsUnderWay.has(trip)) this.seen.delete(trip);
    return [...tripsUnderWay].filter((trip) => {
      const { bytesRead } = socketOf(trip.client);
      const before = this.seen.get(trip);
      const quiet = before?.bytesRead === bytesRead;
      if (!quiet) this.seen.set(trip, { bytesRead, at: now });
      return quiet && now - before.at >= this.times.silentMsMax && this.isOurs(trip.client);
    });
  }

  private isOurs({ database, host, port }: PoolClient): boolean {
    const own = this.pool.options;
    return database === own.database && host === own.host && port === own.port;
  }
}

/** Says of a session's number whether it is known. */
type Alive = (processId: number) => boolean;

async function sessionsOf(pool: Pool, processIds: readonly number[]): Promise<Alive> {
  const client = new pg.Client({
    ...pool.options,
    password: pool.options.password,
    connectionTimeoutMillis: PROBE_MS_MAX,
    query_timeout: PROBE_MS_MAX,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>(KNOWN, [processIds]);
    const known = new Set(rows.map(({ pid }) => pid));
    return (processId) => known.has(processId);
  } catch (error) {
    // Full, or about to start: it is there, and will end what it does not know.
    const isThere = /^(53300|57P03)$/.test(String((error as { code?: unknown }).code));
    return () => isThere;
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** A session that waits for us has lost what we sent; or its number has come round again on another machine. */
const KNOWN = `SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::int[]) AND coalesce(state, 'active') NOT LIKE 'idle%'`;

const numberOf = (client: PoolClient): number => (client as unknown as { processID: number }).processID;

interface Socket {
  readonly bytesRead: number;
  destroy(): void;
}

const socketOf = (client: PoolClient): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;
