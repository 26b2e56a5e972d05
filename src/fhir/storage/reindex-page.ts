import type { Resource } from '@medplum/fhirtypes';
import type { Database, Transaction } from '../../database/database.ts';
import { parseJson } from '../resource-json.ts';
import { indexResource } from '../search/index-resource.ts';
import type { IndexRows } from '../search/index-rows.ts';
import { mainDateOf } from '../search/main-date.ts';
import { solePatientOf } from '../search/sole-patient.ts';
import { searchDigest } from './search-digest.ts';
import { arrayLiteral, reindexOf } from './write-statements.ts';

/** Resources looked at in one statement. Their locks are held for some 20 ms; a write of one of them waits so long at most. */
export const REINDEX_PAGE = 200;

/** Which resources of a type: those after an id, in the order of ids; `changedSince`: only those written since. */
export interface ReindexPlace {
  readonly type: string;
  readonly after: string;
  readonly changedSince: Date | null;
}

export interface ReindexedPage {
  readonly seen: number;
  /** Those whose index was not as it should be. */
  readonly changed: number;
  /** Id of the last; null: there are no more. */
  readonly last: string | null;
}

interface Row {
  readonly id: string;
  readonly version: number;
  readonly content: string;
  readonly tokens: readonly string[];
  readonly search_digest: string;
  readonly sole_patient: string | null;
}

/**
 * Works out the index of one page of resources anew and writes what differs, without a new version. A resource that is written meanwhile
 * is left to that write. `also` runs in the same transaction.
 */
export async function reindexPage(
  database: Database,
  place: ReindexPlace,
  base: string,
  also: (tx: Transaction, page: ReindexedPage) => Promise<void>,
): Promise<ReindexedPage> {
  const rows = await database.run<Row>(PAGE, [place.type, place.after, place.changedSince, REINDEX_PAGE]);
  const stale = rows.flatMap((row) => {
    const fresh = indexResource(parseJson(row.content) as Resource, base);
    const digest = searchDigest(fresh);
    const same = digest === row.search_digest && sameTokens(fresh, row);
    return same && solePatientOf(fresh.tokens) === row.sole_patient ? [] : [{ ...row, fresh, digest }];
  });
  return database.transaction(async (tx) => {
    const held = await lock(tx, place.type, stale);
    const those = stale.filter(({ id }) => held.has(id));
    if (those.length > 0) await write(tx, place.type, those);
    const page = {
      seen: rows.length,
      changed: those.length,
      last: rows.length < REINDEX_PAGE ? null : (rows.at(-1)?.id ?? null),
    };
    await also(tx, page);
    return page;
  });
}

function sameTokens(fresh: IndexRows, { tokens }: Row): boolean {
  return fresh.tokens.size === tokens.length && tokens.every((entry) => fresh.tokens.has(entry));
}

interface Stale {
  readonly id: string;
  readonly version: number;
  readonly fresh: IndexRows;
  readonly digest: string;
}

/** Locked in the order in which writes lock, and only in the version that was looked at. */
async function lock(tx: Transaction, type: string, stale: readonly Stale[]): Promise<Set<string>> {
  if (stale.length === 0) return new Set();
  const rows = await tx.run<{ id: string }>(LOCK, [
    type,
    stale.map(({ id }) => id),
    stale.map(({ version }) => version),
  ]);
  return new Set(rows.map(({ id }) => id));
}

async function write(tx: Transaction, type: string, stale: readonly Stale[]): Promise<void> {
  const columns = [
    stale.map(() => type),
    stale.map(({ id }) => id),
    stale.map(({ fresh }) => arrayLiteral(fresh.tokens)),
    stale.map(({ digest }) => digest),
    stale.map(({ fresh }) => mainDateOf(type, fresh)),
    stale.map(({ fresh }) => solePatientOf(fresh.tokens)),
  ];
  const { statement, values } = reindexOf(
    columns,
    stale.map(({ id, fresh }) => ({ type, id, rows: fresh })),
  );
  await tx.run(statement, values);
}

const PAGE = {
  name: 'fhir-reindex-page',
  text: `SELECT r.id, r.version, r.content, r.tokens, r.search_digest,
      CASE WHEN r.sole_patient_at = r.version THEN r.sole_patient END AS sole_patient FROM resource r
    WHERE r.type = $1 AND r.id > $2 AND NOT r.deleted AND ($3::timestamptz IS NULL OR r.last_updated >= $3)
    ORDER BY r.id LIMIT $4`,
};

const LOCK = {
  name: 'fhir-reindex-lock',
  text: `SELECT r.id FROM resource r JOIN unnest($2::text[], $3::int[]) AS w(id, version) ON r.id = w.id AND r.version = w.version
    WHERE r.type = $1 AND NOT r.deleted ORDER BY r.type, r.id FOR UPDATE OF r`,
};
