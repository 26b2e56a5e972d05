import type { Sql } from '../../database/database.ts';

/** One run over all resources of some types. It goes on where it stopped, in whatever process. */
export interface ReindexRun {
  readonly id: string;
  readonly types: readonly string[];
  /** The SearchParameter resource that it is for; null: asked for by `$reindex`. */
  readonly parameter: string | null;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** The last resource done. */
  readonly position_type: string;
  readonly position_id: string;
  /** Resources looked at, of those there were at the beginning; null: not counted yet. */
  readonly done: string;
  readonly total: string | null;
  readonly created_at: Date;
  /** Since when it goes once more over what was written meanwhile. */
  readonly swept_at: Date | null;
  readonly finished_at: Date | null;
}

export class ReindexRunsStore {
  async start(sql: Sql, types: readonly string[], parameter: string | null): Promise<string> {
    const [row] = await sql.run<{ id: string }>(START, [[...types].sort(), parameter]);
    return row?.id ?? '';
  }

  async read(sql: Sql, id: string): Promise<ReindexRun | null> {
    return (await sql.run<ReindexRun>(READ, [id]))[0] ?? null;
  }

  /** The newest first. */
  latest(sql: Sql, limit: number): Promise<ReindexRun[]> {
    return sql.run<ReindexRun>(LATEST, [limit]);
  }

  async open(sql: Sql): Promise<number> {
    return (await sql.run<{ open: number }>(OPEN))[0]?.open ?? 0;
  }

  /** The first time it runs: what there is to do is counted once. */
  async begin(sql: Sql, id: string): Promise<void> {
    await sql.run(BEGIN, [id]);
  }

  async advance(sql: Sql, id: string, place: { type: string; id: string; seen: number }): Promise<void> {
    await sql.run(ADVANCE, [id, place.type, place.id, place.seen]);
  }

  async sweep(sql: Sql, id: string): Promise<void> {
    await sql.run(SWEEP, [id]);
  }

  async end(sql: Sql, id: string, state: 'done' | 'failed'): Promise<void> {
    await sql.run(END, [id, state]);
  }
}

const COLUMNS =
  'id, types, parameter, state, position_type, position_id, done, total, created_at, swept_at, finished_at';

const START = {
  text: `INSERT INTO reindex_run (types, parameter, state) VALUES ($1, $2, 'waiting') RETURNING id`,
};
const READ = { name: 'fhir-reindex-read', text: `SELECT ${COLUMNS} FROM reindex_run WHERE id = $1` };
const LATEST = { text: `SELECT ${COLUMNS} FROM reindex_run ORDER BY id DESC LIMIT $1` };
const OPEN = {
  text: `SELECT count(*)::int AS open FROM reindex_run WHERE state IN ('waiting', 'running') AND parameter IS NULL`,
};
const BEGIN = {
  text: `UPDATE reindex_run SET state = 'running', started_at = now(),
      total = (SELECT count(*) FROM resource r WHERE r.type = ANY(types) AND NOT r.deleted)
    WHERE id = $1 AND state = 'waiting'`,
};
const ADVANCE = {
  name: 'fhir-reindex-advance',
  text: `UPDATE reindex_run SET position_type = $2, position_id = $3,
      done = CASE WHEN swept_at IS NULL THEN done + $4::int ELSE done END WHERE id = $1`,
};
const SWEEP = {
  text: `UPDATE reindex_run SET swept_at = now(), position_type = '', position_id = '' WHERE id = $1`,
};
const END = { text: `UPDATE reindex_run SET state = $2, finished_at = now() WHERE id = $1` };
