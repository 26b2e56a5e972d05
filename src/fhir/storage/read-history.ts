import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, type AccessInteraction, accessCondition } from '../access-context.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { COLUMNS_OF_R, type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { seenVersions } from './seen-versions.ts';

export interface HistoryAsked {
  /** Types whose versions are wanted. */
  readonly types: readonly string[];
  /** Only this resource; then `types` is its one type. */
  readonly id?: string;
  /** Most versions to give back. */
  readonly count: number;
  /** Only versions after this place in the order: newest first, then by type and id, backwards. */
  readonly after: HistoryPlace | null;
  /** Only versions from this instant on (R4 http.html#history `_since`). */
  readonly since: Date | null;
  /** Only versions that were current at some time in this interval (`_at`). */
  readonly at: HistoryInterval | null;
}

export interface HistoryInterval {
  readonly lo: Date;
  /** Outside the interval. */
  readonly hi: Date;
  /** Fewer versions came after `lo` than before: they are found from their successors then. */
  readonly isRecent: boolean;
}

/** Of a version: no resource has two versions with the same instant, so this names one. */
export interface HistoryPlace {
  readonly lastUpdated: Date;
  readonly type: string;
  readonly id: string;
}

/**
 * Versions, newest first, deletions among them. One statement over both tables, so that a version that is being superseded is seen once, and pages that
 * are cut by the last row's place: what is written meanwhile is newer than every page to come. Each type is read from the end of its index, at most `count` rows of it.
 * The caller must have checked that `access` allows the types at all.
 */
export async function readVersions(
  sql: Sql,
  asked: HistoryAsked,
  access: AccessContext,
  interaction: AccessInteraction,
  base: string,
): Promise<StoredResource[]> {
  const seen: StoredResource[] = [];
  let after = asked.after;
  for (let round = 0; round < HISTORY_ROUNDS_MAX; round++) {
    const found = await readRound(sql, { ...asked, after }, access, interaction);
    const last = found.at(-1);
    if (found.length < asked.count || !last)
      return [...seen, ...(await seenVersions(sql, found, access, interaction, base))].slice(0, asked.count);
    seen.push(...(await seenVersions(sql, found, access, interaction, base)));
    if (seen.length >= asked.count) return seen.slice(0, asked.count);
    after = last;
  }
  throw new Failure(
    'database.timeout',
    'Too many versions to look through; ask for a shorter time (_since).',
  );
}

/** A page is filled from so many readings: more means that nearly all versions are older than the caller's right to see them. */
const HISTORY_ROUNDS_MAX = 20;

async function readRound(
  sql: Sql,
  asked: HistoryAsked,
  access: AccessContext,
  interaction: AccessInteraction,
): Promise<StoredResource[]> {
  const parameters = new SqlParameters();
  const types = parameters.add(asked.types, 'text[]');
  const limit = parameters.add(asked.count, 'int');
  const where = [
    'r.type = t.type',
    ...conditions(asked, parameters),
    ...accessConditions(asked.types, access, interaction, parameters),
  ];
  const superseded = supersededRows(asked.at, parameters);
  const part = (rows: string, all: readonly string[]) => `(
    SELECT ${COLUMNS_OF_R} FROM ${rows} WHERE ${all.join(' AND ')}
    ORDER BY r.last_updated DESC, r.id DESC LIMIT ${limit})`;
  const text = `
    SELECT h.* FROM unnest(${types}) AS t(type) CROSS JOIN LATERAL (
      ${part('resource r', where)} UNION ALL ${part(superseded.rows, [...where, ...superseded.where])}
    ) h ORDER BY h.last_updated DESC, h.type DESC, h.id DESC LIMIT ${limit}`;
  return (await sql.run<ResourceRow>({ text, timeoutMs: HISTORY_MS_MAX }, parameters.values)).map(
    rowToStored,
  );
}

/**
 * A superseded version was current from its own instant to its successor's. Which of the two ends is looked up first decides how many rows are
 * read: for a time not long ago the successors since then, for one long ago the versions before it.
 */
function supersededRows(
  at: HistoryInterval | null,
  parameters: SqlParameters,
): { rows: string; where: readonly string[] } {
  if (!at) return { rows: 'resource_version r', where: [] };
  const lo = parameters.add(at.lo, 'timestamptz');
  const tables = ['resource', 'resource_version'];
  if (!at.isRecent) {
    const ended = tables.map(
      (table) =>
        `NOT EXISTS (SELECT 1 FROM ${table} n WHERE n.type = r.type AND n.id = r.id AND n.version = r.version + 1 AND n.last_updated <= ${lo})`,
    );
    return { rows: 'resource_version r', where: ended };
  }
  const successors = tables.map(
    (table) =>
      `SELECT n.type, n.id, n.version FROM ${table} n WHERE n.type = t.type AND n.last_updated > ${lo}`,
  );
  const joined = 'r.type = n.type AND r.id = n.id AND r.version = n.version - 1';
  return { rows: `(${successors.join(' UNION ALL ')}) n JOIN resource_version r ON ${joined}`, where: [] };
}

/** Like a search: one that must look through millions of versions (`_at` long ago) must not hold a connection. */
export const HISTORY_MS_MAX = 5_000;

function conditions({ id, after, since, at }: HistoryAsked, parameters: SqlParameters): string[] {
  const all: string[] = [];
  if (id !== undefined) all.push(`r.id = ${parameters.add(id, 'text')}`);
  if (since) all.push(`r.last_updated >= ${parameters.add(since, 'timestamptz')}`);
  if (at) all.push(`r.last_updated < ${parameters.add(at.hi, 'timestamptz')}`);
  if (after) {
    const instant = parameters.add(after.lastUpdated, 'timestamptz');
    const place = `(${instant}, ${parameters.add(after.type, 'text')} COLLATE "C", ${parameters.add(after.id, 'text')} COLLATE "C")`;
    // The first is what the index is entered by; the second cuts within one instant.
    all.push(`r.last_updated <= ${instant}`, `(r.last_updated, r.type, r.id) < ${place}`);
  }
  return all;
}

/**
 * A version is shown when the caller may see the resource as it is now, and (see `seen-versions.ts`) as it was then. Of a deleted resource nothing is shown to a caller who sees
 * part of the type only.
 */
function accessConditions(
  types: readonly string[],
  access: AccessContext,
  interaction: AccessInteraction,
  parameters: SqlParameters,
): string[] {
  return types.flatMap((type) => {
    const condition = accessCondition(access, type, interaction, 'c', parameters);
    if (condition === null) return [];
    const name = parameters.add(type, 'text');
    return [
      `(r.type <> ${name} OR EXISTS (SELECT 1 FROM resource c WHERE c.type = r.type AND c.id = r.id AND NOT c.deleted AND (${condition})))`,
    ];
  });
}
