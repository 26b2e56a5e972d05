import type { Sql } from '../../database/database.ts';
import { type AccessContext, type AccessInteraction, accessCondition } from '../access-context.ts';
import { indexResource } from '../search/index-resource.ts';
import { SqlParameters } from '../sql-parameters.ts';
import type { StoredResource } from '../stored-resource.ts';
import { arrayLiteral } from './write-statements.ts';

/**
 * Of versions those that the caller may see as they were. Superseded rows have no index entries: they are worked out from the text and handed to the same
 * condition that stands in every other statement. Costs nothing where there is no condition. Deletions say nothing of what was deleted, so
 * a caller with a condition does not get them.
 */
export async function seenVersions(
  sql: Sql,
  versions: readonly StoredResource[],
  access: AccessContext,
  interaction: AccessInteraction,
  base: string,
): Promise<StoredResource[]> {
  const byType = Map.groupBy(versions, ({ type }) => type);
  const hidden = new Set<StoredResource>();
  for (const [type, all] of byType) {
    const parameters = new SqlParameters();
    const condition = accessCondition(access, type, interaction, 'r', parameters);
    if (condition === null) continue;
    const asked = all.filter(({ deleted }) => !deleted);
    const seen = asked.length === 0 ? [] : await judge(sql, type, asked, condition, parameters, base);
    const shown = new Set(seen);
    for (const version of all) if (!shown.has(version)) hidden.add(version);
  }
  return hidden.size === 0 ? [...versions] : versions.filter((version) => !hidden.has(version));
}

async function judge(
  sql: Sql,
  type: string,
  versions: readonly StoredResource[],
  condition: string,
  parameters: SqlParameters,
  base: string,
): Promise<StoredResource[]> {
  const places = parameters.add(
    versions.map((_, at) => at),
    'int[]',
  );
  const ids = parameters.add(
    versions.map(({ id }) => id),
    'text[]',
  );
  const entries = parameters.add(
    versions.map((version) => arrayLiteral(indexResource(version.parse(), base).tokens)),
    'text[]',
  );
  const text = `SELECT v.place FROM unnest(${places}, ${ids}, ${entries}) AS v(place, id, entries)
    CROSS JOIN LATERAL (SELECT ${parameters.add(type, 'text')} COLLATE "C" AS type, v.id COLLATE "C" AS id,
      v.entries::text[] COLLATE "C" AS tokens, NULL::text COLLATE "C" AS sole_patient, 1 AS version, NULL::int AS sole_patient_at OFFSET 0) r WHERE ${condition}`;
  const rows = await sql.run<{ place: number }>({ text }, parameters.values);
  return rows.flatMap(({ place }) => versions[place] ?? []);
}
