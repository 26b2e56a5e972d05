import pg from 'pg';
import type { AuditEntry } from '../../database/audit-sink.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { endOfSegment, markEnded, openSegments } from './audit-event.store.ts';
import type { AuditRow } from './audit-row.ts';

/** First key of the advisory lock that the writer of a chain holds; any number that nothing else uses. */
const SEGMENT_LOCK = 7_263_547;

/**
 * A connection of its own with an advisory lock: PostgreSQL drops the lock with the process, however that ends, so a chain without one
 * has no writer any more.
 */
export class SegmentLock {
  private client: pg.Client | null;

  private constructor(
    client: pg.Client,
    private readonly segment: number,
  ) {
    this.client = client;
    // The database went away: the lock with it. Chains are closed only by a process that starts, and a hole-free chain loses nothing by it.
    client.on('error', () => {
      this.client = null;
    });
  }

  static async take(database: Database, segment: number): Promise<SegmentLock> {
    const client = new pg.Client({ ...database.connectionOptions(), application_name: 'prelim audit' });
    await client.connect();
    const lock = new SegmentLock(client, segment);
    await client.query('SELECT pg_advisory_lock($1, $2)', [SEGMENT_LOCK, segment]);
    return lock;
  }

  /** Runs `work` when nobody writes that chain. */
  async ifAbandoned(segment: number, work: () => Promise<void>): Promise<void> {
    if (!this.client || segment === this.segment) return;
    const { rows } = await this.client.query('SELECT pg_try_advisory_lock($1, $2) AS free', [
      SEGMENT_LOCK,
      segment,
    ]);
    if (!rows[0]?.free) return;
    try {
      await work();
    } finally {
      await this.client?.query('SELECT pg_advisory_unlock($1, $2)', [SEGMENT_LOCK, segment]);
    }
  }

  async release(): Promise<void> {
    const { client } = this;
    this.client = null;
    await client?.end().catch(() => undefined);
  }
}

/**
 * Says in our own chain how far each abandoned chain reaches, so that the chains of all times hang together: whoever has the last
 * rows can tell whether one before them is gone.
 */
export async function closeDeadSegments(
  database: Database,
  lock: SegmentLock,
  own: number,
  append: (tx: Transaction, entry: AuditEntry) => Promise<AuditRow>,
): Promise<void> {
  for (const segment of await openSegments(database, own)) {
    await lock.ifAbandoned(segment, async () => {
      await database.transaction(async (tx) => {
        const detail = JSON.stringify({ segment, ...(await endOfSegment(tx, segment)) });
        const row = await append(tx, {
          kind: 'chain',
          interaction: 'close',
          action: 'E',
          outcome: 0,
          entity: `segment/${segment}`,
          detail,
        });
        await markEnded(tx, segment, row);
      });
    });
  }
}
