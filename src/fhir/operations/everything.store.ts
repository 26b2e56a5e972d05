import type { Sql } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import { buildRow } from '../search/build-filter.ts';
import { newBuild } from '../search/build-search.ts';
import type { Filter } from '../search/search-query.ts';
import { COLUMNS_OF_R, type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';

/** Where the page before ended. */
export interface EverythingCursor {
  readonly type: string;
  readonly id: string;
}

export interface TypeFilters {
  readonly type: string;
  readonly filters: readonly Filter[];
}

/**
 * The next resources of several types, each with filters of its own, in the order of type and id: one round trip however many types. Each type
 * goes through the same row condition as a search, the caller's access with it.
 */
export async function readAcrossTypes(
  sql: Sql,
  types: readonly TypeFilters[],
  page: { readonly after: EverythingCursor | null; readonly limit: number },
  access: AccessContext,
  base: string,
): Promise<StoredResource[]> {
  const build = newBuild(access, base);
  const limit = build.parameters.add(page.limit, 'int');
  const { after } = page;
  const parts = types
    .filter(({ type }) => after === null || type >= after.type)
    .map(({ type, filters }) => {
      const where = [buildRow({ type, alias: 'r', base }, filters, build)];
      if (after?.type === type) where.push(`r.id > ${build.parameters.add(after.id, 'text')}`);
      return `(SELECT ${COLUMNS_OF_R} FROM resource r WHERE ${where.join(' AND ')} ORDER BY r.id LIMIT ${limit})`;
    });
  if (parts.length === 0) return [];
  const text = `SELECT * FROM (${parts.join(' UNION ALL ')}) page ORDER BY type COLLATE "C", id COLLATE "C" LIMIT ${limit}`;
  return (await sql.run<ResourceRow>({ text }, build.parameters.values)).map(rowToStored);
}
