import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';

const TABLES = [
  'auth_used_once',
  'auth_request',
  'auth_family',
  'auth_code',
  'auth_refresh',
  'auth_revoked',
  'auth_launch',
  'auth_session',
  'auth_page',
] as const;
/** One statement stays short, also after a flood. */
const ROWS_MAX = 5_000;

/** Removes what ran out. */
@Injectable()
export class SweepStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  async sweep(): Promise<void> {
    for (const table of TABLES) while ((await this.sweepSome(table)) === ROWS_MAX);
  }

  private async sweepSome(table: (typeof TABLES)[number]): Promise<number> {
    const [row] = await this.database.run<{ gone: number }>({
      text: `WITH gone AS (DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM ${table} WHERE ends_at < now() LIMIT ${ROWS_MAX})) RETURNING 1)
        SELECT count(*)::int AS gone FROM gone`,
    });
    return row?.gone ?? 0;
  }
}
