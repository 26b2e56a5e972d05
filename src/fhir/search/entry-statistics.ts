import type { Sql, Statement } from '../../database/database.ts';

/**
 * How many rows have an entry, as PostgreSQL's own statistics say. A search by common entries (`status=final`) is best walked in
 * the order of its page, one by rare entries is best collected from the index of entries; who knows which can ask by a prepared
 * statement of that form, and PostgreSQL need not plan anew for each request.
 */
export interface EntryStatistics {
  /** Rows of the type. */
  rowsOf(type: string): number;
  /** Rows that have any of the entries, roughly; null when they are too rare to be known. */
  rowsWith(entries: readonly string[]): number | null;
  /** There is an index of patients and codes together (`patient-codes.ts`). Left out: there is not. */
  readonly patientCodes?: boolean;
}

/** The counts move slowly, and PostgreSQL gathers them anew every some minutes itself. */
export const STATISTICS_AGE_MAX_MS = 60_000;
/** As long as there are none, a young table may be analysed any moment. */
export const NO_STATISTICS_AGE_MAX_MS = 2_000;
/** Rows changed since PostgreSQL last looked, more than half of all: what it knows is of another database. Fewer are found quickly whatever the plan. */
export const CHANGED_ROWS_MIN = 1_000;

/** What the statistics of searches are made of. A sample of the rows: a second at most, beside the work. */
export const ANALYSE: Statement = {
  text: 'ANALYZE (SKIP_LOCKED) resource, search_date, search_string, search_number, search_quantity',
};

interface Kept {
  statistics: EntryStatistics | null;
  readAt: number;
  reading: boolean;
}

const byDatabase = new WeakMap<Sql, Kept>();

/**
 * What is known of the database; null while nothing is. Reads the statistics beside the request when they are old, and never waits
 * for them: the request goes on with what there is. In a transaction nothing is known, its connection must not be used beside it.
 */
export function entryStatistics(sql: Sql, now: number): EntryStatistics | null {
  if ('afterCommit' in sql) return null;
  const kept = byDatabase.get(sql) ?? { statistics: null, readAt: Number.NEGATIVE_INFINITY, reading: false };
  byDatabase.set(sql, kept);
  const ageMax = kept.statistics === null ? NO_STATISTICS_AGE_MAX_MS : STATISTICS_AGE_MAX_MS;
  if (!kept.reading && now - kept.readAt > ageMax) {
    kept.reading = true;
    kept.readAt = now;
    void gatherStatistics(sql)
      .then(
        (read) => {
          kept.statistics = read;
        },
        // A search does not fail for it: PostgreSQL plans by itself then.
        () => undefined,
      )
      .finally(() => {
        kept.reading = false;
      });
  }
  return kept.statistics;
}

/** PostgreSQL looks once a minute itself; where data come in thousands, searches would be planned wrongly or anew each time meanwhile. */
export async function gatherStatistics(sql: Sql): Promise<EntryStatistics | null> {
  const [seen] = await sql.run<{ changed: number; live: number }>(CHANGES);
  if (seen && seen.changed >= CHANGED_ROWS_MIN && seen.changed > seen.live / 2) await sql.run(ANALYSE);
  return readStatistics(sql);
}

const CHANGES: Statement = {
  name: 'fhir-changes-since-statistics',
  text: `SELECT pg_stat_get_mod_since_analyze(oid)::float8 AS changed, pg_stat_get_live_tuples(oid)::float8 AS live
    FROM pg_class WHERE oid = 'resource'::regclass`,
};

/** Null when the table was never analysed. */
export async function readStatistics(sql: Sql): Promise<EntryStatistics | null> {
  const rows = await sql.run<StatisticsRow>(STATISTICS);
  const [row] = rows;
  if (!row || row.rows <= 0 || !row.entries) return null;
  const all = row.rows;
  const types = new Map((row.types ?? []).map((type, at) => [type, (row.type_shares?.[at] ?? 0) * all]));
  const entries = new Map(row.entries.map((entry, at) => [entry, (row.entry_shares?.[at] ?? 0) * all]));
  return {
    patientCodes: row.patient_codes,
    rowsOf: (type) => types.get(type) ?? 0,
    rowsWith: (asked) => {
      const known = asked.flatMap((entry) => entries.get(entry) ?? []);
      return known.length === 0 ? null : known.reduce((sum, one) => sum + one, 0);
    },
  };
}

interface StatisticsRow {
  readonly rows: number;
  readonly types: readonly string[] | null;
  readonly type_shares: readonly number[] | null;
  readonly entries: readonly string[] | null;
  /** One per entry, then the least, the greatest and that of NULL. */
  readonly entry_shares: readonly number[] | null;
  readonly patient_codes: boolean;
}

const STATISTICS: Statement = {
  name: 'fhir-entry-statistics',
  text: `SELECT c.reltuples::float8 AS rows,
      t.most_common_vals::text::text[] AS types, t.most_common_freqs::float8[] AS type_shares,
      e.most_common_elems::text::text[] AS entries, e.most_common_elem_freqs::float8[] AS entry_shares,
      EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass('resource_patient_codes') AND i.indisvalid) AS patient_codes
    FROM pg_class c
    LEFT JOIN pg_stats t ON t.schemaname = c.relnamespace::regnamespace::text AND t.tablename = c.relname AND t.attname = 'type'
    LEFT JOIN pg_stats e ON e.schemaname = c.relnamespace::regnamespace::text AND e.tablename = c.relname AND e.attname = 'tokens'
    WHERE c.oid = 'resource'::regclass`,
};
