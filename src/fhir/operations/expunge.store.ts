import type { Transaction } from '../../database/database.ts';

/** Versions that one call removes at most, so that it stays within a second; the answer says when there are more. */
export const EXPUNGE_VERSIONS_MAX = 1_000;

/** Removes superseded versions, oldest first. Gives their number. The caller has seen to it that he may. */
export async function removeVersions(
  tx: Transaction,
  type: string,
  id: string,
  limit: number,
): Promise<number> {
  const rows = await tx.run<{ version: number }>(VERSIONS, [type, id, limit]);
  return rows.length;
}

/** Removes the row of a deleted resource; nothing when it lives, or has versions left. True when it is gone. */
export async function removeDeleted(tx: Transaction, type: string, id: string): Promise<boolean> {
  return (await tx.run(DELETED, [type, id])).length > 0;
}

const VERSIONS = {
  name: 'fhir-expunge-versions',
  text: `DELETE FROM resource_version WHERE (type, id, version) IN
    (SELECT type, id, version FROM resource_version WHERE type = $1 AND id = $2 ORDER BY version LIMIT $3)
    RETURNING version`,
};

const DELETED = {
  name: 'fhir-expunge-deleted',
  text: `DELETE FROM resource r WHERE r.type = $1 AND r.id = $2 AND r.deleted
      AND NOT EXISTS (SELECT 1 FROM resource_version v WHERE v.type = r.type AND v.id = r.id)
    RETURNING r.id`,
};
