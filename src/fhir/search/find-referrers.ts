import type { Sql } from '../../database/database.ts';
import { COLUMNS_OF_R, type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';

/** More are not read to see whether one of them is meant: a patient has thousands of Observations. */
export const REFERRERS_MAX = 50;
/** Where many criteria ask it pays to read more: each that is asked of SQL costs as much as a few of them. Beyond this the write would wait for them. */
export const REFERRERS_FOR_MANY_MAX = 500;

/** So many may be read for so many criteria. */
export const referrersMax = (criteria: number): number =>
  Math.min(Math.max(criteria, REFERRERS_MAX), REFERRERS_FOR_MANY_MAX);

/** Resources of the type that have any of the entries (`Observation.subject>Patient/1`), for the server itself; null: they are more than `max`. */
export async function findReferrers(
  sql: Sql,
  type: string,
  entries: readonly string[],
  max: number,
): Promise<StoredResource[] | null> {
  const rows = await sql.run<ResourceRow>(FIND, [type, entries, max + 1]);
  return rows.length > max ? null : rows.map(rowToStored);
}

/** Hidden from the planner, as in `read-resources.ts`: it would guess a large part of all rows. */
const FIND = {
  name: 'fhir-referrers',
  text: `SELECT ${COLUMNS_OF_R} FROM resource r
    WHERE (r.type = $1) IS TRUE AND r.tokens && (SELECT $2::text[]) AND NOT r.deleted LIMIT $3`,
};
