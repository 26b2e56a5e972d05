import type { Sql, Statement } from '../../database/database.ts';
import { type AccessContext, type AccessInteraction, accessCondition } from '../access-context.ts';
import { cutToken } from '../search/index-rows.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { prepared } from '../statement-names.ts';
import { COLUMNS_OF_R, type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { seenVersions } from './seen-versions.ts';

export interface ResourceId {
  readonly type: string;
  readonly id: string;
}

/** The current version (a deletion too); null when there is none, or none the caller may see. */
export async function readResource(
  sql: Sql,
  { type, id }: ResourceId,
  access: AccessContext,
): Promise<StoredResource | null> {
  const rows = await find(sql, 'fhir-read', 'resource', type, access, [id], 'r.id = $2');
  return rows[0] ?? null;
}

/** Many at once, in no special order; deleted and missing ones are left out. */
export async function readResources(
  sql: Sql,
  ids: readonly ResourceId[],
  access: AccessContext,
): Promise<StoredResource[]> {
  const types = Map.groupBy(ids, (one) => one.type);
  const all: StoredResource[] = [];
  for (const [type, those] of types) {
    const list = those.map((one) => one.id);
    all.push(
      ...(await find(
        sql,
        'fhir-read-many',
        'resource',
        type,
        access,
        [list],
        'r.id = ANY($2::text[]) AND NOT r.deleted',
      )),
    );
  }
  return all;
}

export interface TypedIdentifier {
  readonly type: string;
  /** '' means: has none. */
  readonly system: string;
  readonly value: string;
}

/** Those that have any of the identifiers: one search of the token index whatever their number. */
export async function readByIdentifiers(
  sql: Sql,
  identifiers: readonly TypedIdentifier[],
): Promise<StoredResource[]> {
  if (identifiers.length === 0) return [];
  return (await sql.run<ResourceRow>(BY_IDENTIFIERS, [identifierEntries(identifiers)])).map(rowToStored);
}

/** What resources with the identifiers have in the index, each once. */
export function identifierEntries(identifiers: readonly TypedIdentifier[]): string[] {
  const entries = identifiers.map(({ type, system, value }) =>
    cutToken(`${type}.identifier@${system}|${value}`),
  );
  return [...new Set(entries)];
}

/** Hidden from the planner: for a hundred identifiers it guesses a large part of all rows, and would read the table instead of the index. */
const BY_IDENTIFIERS: Statement = {
  name: 'fhir-by-identifiers',
  text: `SELECT ${COLUMNS_OF_R} FROM resource r WHERE r.tokens && (SELECT $1::text[]) AND NOT r.deleted`,
};

/** Fails (division by zero, `GUESS_FAILED_SQLSTATE`) when there is any. Counted: of EXISTS the planner hopes to meet one soon, and reads the table. */
export const NO_IDENTIFIERS: Statement = {
  name: 'fhir-no-identifiers',
  text: `SELECT 1 / (count(*) = 0)::int AS none FROM resource r WHERE r.tokens && (SELECT $1::text[]) AND NOT r.deleted`,
};

/** One version, current or superseded; one that was superseded as far as the caller may see it as it was and as the resource is now. */
export async function readVersion(
  sql: Sql,
  { type, id }: ResourceId,
  version: number,
  access: AccessContext,
  base: string,
): Promise<StoredResource | null> {
  const where = 'r.id = $2 AND r.version = $3';
  for (const table of ['resource', 'resource_version'] as const) {
    const rows = await find(sql, `fhir-vread-${table}`, table, type, access, [id, version], where);
    const [found] = table === 'resource' ? rows : await seenVersions(sql, rows, access, 'read', base);
    if (found) return found;
  }
  return null;
}

export interface HistoryPage {
  /** Most versions to give back. */
  readonly count: number;
  /** Only versions below this number; for the first page a number above all. */
  readonly before: number;
  /** Only versions from this instant on. */
  readonly since: Date | null;
}

/** All versions, newest first. */
export async function readHistory(
  sql: Sql,
  { type, id }: ResourceId,
  page: HistoryPage,
  access: AccessContext,
  base: string,
): Promise<StoredResource[]> {
  const where = `r.id = $2 AND r.version < $3 AND r.last_updated >= COALESCE($4::timestamptz, '-infinity')`;
  const values = [id, page.before, page.since];
  const current = await find(sql, 'fhir-history-current', 'resource', type, access, values, where);
  const older = await find(
    sql,
    'fhir-history',
    'resource_version',
    type,
    access,
    [...values, page.count],
    where,
    'ORDER BY r.version DESC LIMIT $5',
  );
  return [...current, ...(await seenVersions(sql, older, access, 'read', base))].slice(0, page.count);
}

/**
 * The named statements take the type as $1 and their own values from $2; an access condition makes a statement of another name. A caller with one is not told
 * of deletions: what a deleted resource was can be asked of nothing.
 */
async function find(
  sql: Sql,
  name: string,
  table: 'resource' | 'resource_version',
  type: string,
  access: AccessContext,
  values: readonly unknown[],
  where: string,
  end = '',
  interaction: AccessInteraction = 'read',
): Promise<StoredResource[]> {
  const parameters = new SqlParameters();
  for (const value of [type, ...values]) parameters.add(value);
  const alias = table === 'resource' ? 'r' : 'c';
  const condition = accessCondition(access, type, interaction, alias, parameters);
  const text = `SELECT ${COLUMNS_OF_R} FROM ${table} r WHERE r.type = $1 AND ${where}${condition ? ` AND ${seen(condition, alias)}` : ''} ${end}`;
  const statement: Statement = {
    ...(condition ? prepared(name, text) : { name, text }),
    brief: BRIEF.has(name),
  };
  return (await sql.run<ResourceRow>(statement, parameters.values)).map(rowToStored);
}

/** One row by its primary key. */
const BRIEF: ReadonlySet<string> = new Set([
  'fhir-read',
  'fhir-vread-resource',
  'fhir-vread-resource_version',
]);

/** Of a superseded version (alias `r`) the current row (alias `c`) is asked first. */
const seen = (condition: string, alias: 'r' | 'c'): string =>
  alias === 'r'
    ? `NOT r.deleted AND (${condition})`
    : `EXISTS (SELECT 1 FROM resource c WHERE c.type = r.type AND c.id = r.id AND NOT c.deleted AND (${condition}))`;
