import type { Database } from './database/database.ts';
import type { RateUse, RateUseStore } from './http/shared-rates.ts';

/** What a process told so long ago counts no more: it has ended, or has nothing to tell. */
const TOLD_S_MAX = 60;

/** Processes tell each other what they let through, by the database that they share whatever the queue is. */
export class DatabaseRateUse implements RateUseStore {
  constructor(private readonly database: Database) {}

  async exchange(process: string, use: RateUse | null): Promise<ReadonlyMap<string, RateUse>> {
    const rows = await this.database.run<{ process: string; use: RateUse }>(
      use === null ? HEAR : TELL_AND_HEAR,
      use === null ? [process, TOLD_S_MAX] : [process, TOLD_S_MAX, JSON.stringify(use)],
    );
    return new Map(rows.map((row) => [row.process, row.use]));
  }
}

const HEAR = {
  name: 'hear_rate_use',
  text: `SELECT process, use FROM rate_use WHERE process <> $1 AND told_at > now() - $2 * interval '1 second'`,
};

/** A row that ended long ago goes with the next one that is written. */
const TELL_AND_HEAR = {
  name: 'tell_rate_use',
  text: `WITH told AS (
      INSERT INTO rate_use (process, use) VALUES ($1, $3)
      ON CONFLICT (process) DO UPDATE SET use = EXCLUDED.use, told_at = now()),
    gone AS (DELETE FROM rate_use WHERE process <> $1 AND told_at < now() - 2 * $2 * interval '1 second')
    ${HEAR.text}`,
};
