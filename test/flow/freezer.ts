import type pg from 'pg';
import { until } from './flow-world.ts';

/** Any number that nothing else in the database locks. */
const KEY = 424_242;

export type Moment =
  /** The job has been worked out; its transaction is about to write. */
  | 'before the write'
  /** Its transaction has written everything and is committing. */
  | 'at the commit';

/**
 * Holds the server's transaction still at a chosen moment, by triggers in the test's own database: the server's code knows
 * nothing of it. A transaction stopped "at the commit" has been told to commit, so it does when the freezer lets go, also when
 * the server that asked for it is dead by then.
 */
export class Freezer {
  private constructor(
    private readonly pool: pg.Pool,
    private readonly holder: pg.PoolClient,
  ) {}

  static async install(pool: pg.Pool): Promise<Freezer> {
    await pool.query(`
      CREATE TABLE frozen_at (queue text, moment text);
      CREATE FUNCTION freeze_here() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT 1 FROM frozen_at WHERE queue = coalesce(NEW.queue, OLD.queue) AND moment = TG_ARGV[0]) THEN
          PERFORM pg_advisory_xact_lock_shared(${KEY});
        END IF;
        RETURN coalesce(NEW, OLD);
      END $$;
      CREATE TRIGGER freeze_write BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION freeze_here('before the write');
      CREATE CONSTRAINT TRIGGER freeze_commit AFTER DELETE ON outbox DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION freeze_here('at the commit');
      CREATE CONSTRAINT TRIGGER freeze_cause AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION freeze_here('at the commit of its cause');
    `);
    return new Freezer(pool, await pool.connect());
  }

  /** The next job of the queue stops there. */
  async freeze(queue: string, moment: Moment | 'at the commit of its cause'): Promise<void> {
    await this.holder.query(`SELECT pg_advisory_lock(${KEY})`);
    await this.pool.query('INSERT INTO frozen_at VALUES ($1, $2)', [queue, moment]);
  }

  /** Resolves when a transaction of the server stands still. */
  frozen(): Promise<void> {
    return until(async () => (await this.waiting()).length > 0);
  }

  /** Lets go: what was committing commits, what was still writing finds nobody to go on for it. */
  async thaw(): Promise<void> {
    await this.pool.query('DELETE FROM frozen_at');
    await this.holder.query(`SELECT pg_advisory_unlock(${KEY})`);
    await until(async () => (await this.waiting()).length === 0);
  }

  remove(): void {
    this.holder.release();
  }

  private async waiting(): Promise<unknown[]> {
    const { rows } = await this.pool.query(
      `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [KEY],
    );
    return rows;
  }
}
