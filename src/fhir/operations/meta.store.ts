import type { Coding } from '@medplum/fhirtypes';
import type { Sql } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import { buildRow } from '../search/build-filter.ts';
import { newBuild } from '../search/build-search.ts';
import { parseFilter } from '../search/parse-filter.ts';
import type { Filter } from '../search/search-query.ts';

export interface MetaRow {
  readonly profile: readonly string[] | null;
  readonly tag: readonly Coding[] | null;
  readonly security: readonly Coding[] | null;
}

/** A question over all resources may take as long as a search; a store too large for that answers `database.timeout`. */
export const META_MS_MAX = 5_000;

/** The different profiles, tags and security labels on resources of the types that the caller may search, one row per combination. */
export async function readMetaInUse(
  sql: Sql,
  types: readonly string[],
  access: AccessContext,
  base: string,
): Promise<MetaRow[]> {
  const build = newBuild(access, base);
  const parts = types.map((type) => {
    const labelled = LABELS.flatMap((code): Filter[] => {
      const present = parseFilter(type, `${code}:missing`, 'false');
      return present ? [present] : [];
    });
    const where = buildRow({ type, alias: 'r', base }, [{ kind: 'any', of: labelled }], build);
    return `SELECT (r.content::json -> 'meta')::jsonb AS meta FROM resource r WHERE ${where}`;
  });
  const text = `SELECT DISTINCT meta -> 'profile' AS profile, meta -> 'tag' AS tag, meta -> 'security' AS security
    FROM (${parts.join(' UNION ALL ')}) labelled`;
  return sql.run<MetaRow>({ text, timeoutMs: META_MS_MAX }, build.parameters.values);
}

const LABELS = ['_profile', '_tag', '_security'];
