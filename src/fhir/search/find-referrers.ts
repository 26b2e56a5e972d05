import type { Sql } from '../../database/database.ts';
import { COLUMNS_OF_R, type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';

/** More are not read to see whether one of them is meant: a patient has thousands of Observations. */
export const REFERRERS_MAX = 50;

/** Resources of the type that have any of the entries (`Observation.subject>Patient/1`), for the server itself; one more than `REFERRERS_MAX` at most. */
export async function findReferrers(
  sql: Sql,
  type: string,
  entries: readonly string[],
): Promise<StoredResource[]> {
  return (await sql.run<ResourceRow>(FIND, [type, entries])).map(rowToStored);
}

/** Hidden from the planner, as in `read-resources.ts`: it would guess a large part of all rows. */
const FIND = {
  name: 'fhir-referrers',
  text: `SELECT ${COLUMNS_OF_R} FROM resource r
    WHERE (r.type = $1) IS TRUE AND r.tokens && (SELECT $2::text[]) AND NOT r.deleted LIMIT ${REFERRERS_MAX + 1}`,
};
