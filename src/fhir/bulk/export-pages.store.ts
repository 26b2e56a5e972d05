import type { Sql } from '../../database/database.ts';
import { type AccessContext, accessCondition } from '../access-context.ts';
import { buildRow } from '../search/build-filter.ts';
import { newBuild } from '../search/build-search.ts';
import type { Filter } from '../search/search-query.ts';
import { seenVersions } from '../storage/seen-versions.ts';
import { type ResourceRow, ROW_COLUMNS, rowToStored, type StoredResource } from '../stored-resource.ts';

/** Rows of one page: few enough that a stop or a cancel is heard soon. */
export const EXPORT_PAGE_ROWS = 500;
/** Texts of one page together; one resource of 2 MiB more may come on top. Bounds the memory of an export. */
export const EXPORT_PAGE_BYTES = 4 * 1024 * 1024;

export interface ExportPage {
  /** As they were at the point in time, by id. Deletions among them when `since` was given. */
  readonly resources: readonly StoredResource[];
  /** The id the next page begins after; null: this was the last. */
  readonly next: string | null;
}

/** What one page is cut from. */
export interface ExportSource {
  readonly type: string;
  /** Null: all of the type. With filters, what was deleted or stopped to match after `until` is not found any more. */
  readonly filters: readonly Filter[] | null;
  readonly after: string;
  /** The point in time that the export shows. */
  readonly until: Date;
  readonly since: Date | null;
}

/**
 * The next page of a type by id, as of `until`: a row that has changed since then is answered by the version it had, from the history. So an
 * export shows one point in time without a transaction that stays open for hours.
 */
export async function readExportPage(
  sql: Sql,
  source: ExportSource,
  access: AccessContext,
  base: string,
): Promise<ExportPage> {
  const rows = await sql.run<ResourceRow & { page_full: boolean }>(...pageStatement(source, access, base));
  const last = rows.at(-1);
  const more = rows.length === EXPORT_PAGE_ROWS || last?.page_full === true;
  const current = rows.map(rowToStored);
  const changed = current.filter((one) => one.lastUpdated > source.until).map((one) => one.id);
  const then = await versionsAt(sql, source.type, changed, source.until);
  const seen = await seenVersions(sql, then, access, 'search', base);
  const older = new Map(seen.map((one) => [one.id, one]));
  const resources = current.flatMap((one): StoredResource[] => {
    const then = one.lastUpdated > source.until ? older.get(one.id) : one;
    if (!then || (source.since && then.lastUpdated < source.since)) return [];
    return then.deleted && !source.since ? [] : [then];
  });
  return { resources, next: more && last ? last.id : null };
}

const COLUMNS = ROW_COLUMNS.join(', ');

function pageStatement(
  source: ExportSource,
  access: AccessContext,
  base: string,
): [{ text: string }, readonly unknown[]] {
  const build = newBuild(access, base);
  const { parameters } = build;
  const { type, filters, since } = source;
  const where = filters
    ? [buildRow({ type, alias: 'r', base }, filters, build)]
    : [
        `r.type = ${parameters.add(type, 'text')}`,
        accessCondition(access, type, 'search', 'r', parameters) ?? 'TRUE',
      ];
  where.push(`r.id > ${parameters.add(source.after, 'text')}`);
  if (since) where.push(`r.last_updated >= ${parameters.add(since, 'timestamptz')}`);
  else where.push(`(NOT r.deleted OR r.last_updated > ${parameters.add(source.until, 'timestamptz')})`);
  const limit = parameters.add(EXPORT_PAGE_ROWS, 'int');
  const bytes = parameters.add(EXPORT_PAGE_BYTES, 'bigint');
  // octet_length of a text does not read it, so pages are cut by size before the texts are fetched.
  const text = `
    SELECT ${COLUMNS}, last_bytes IS NOT NULL AND last_bytes >= ${bytes} AS page_full FROM (
      SELECT *, sum(octet_length(content)) OVER (ORDER BY id) AS last_bytes FROM (
        SELECT r.* FROM resource r WHERE ${where.map((one) => `(${one})`).join(' AND ')} ORDER BY r.id LIMIT ${limit}
      ) found
    ) sized WHERE last_bytes - octet_length(content) < ${bytes} ORDER BY id`;
  return [{ text }, parameters.values];
}

/** The versions that were current at the instant, one per id; those that did not exist then are missing. */
async function versionsAt(
  sql: Sql,
  type: string,
  ids: readonly string[],
  at: Date,
): Promise<StoredResource[]> {
  if (ids.length === 0) return [];
  const rows = await sql.run<ResourceRow>(VERSIONS_AT, [type, ids, at]);
  return rows.map(rowToStored);
}

const VERSIONS_AT = {
  name: 'bulk-versions-at',
  text: `SELECT DISTINCT ON (id) ${COLUMNS} FROM resource_version
    WHERE type = $1 AND id = ANY($2::text[]) AND last_updated <= $3 ORDER BY id, version DESC`,
};
