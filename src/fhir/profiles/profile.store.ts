import type { Sql } from '../../database/database.ts';

/** A stored StructureDefinition as it is now; `content` is empty when it was deleted. */
export interface StoredDefinition {
  readonly id: string;
  readonly last_updated: Date;
  readonly deleted: boolean;
  readonly content: string;
}

/** All of them at start, later those changed since; in the order of their change. By the index on type and time. */
export function readDefinitions(sql: Sql, since: Date | null): Promise<StoredDefinition[]> {
  return sql.run<StoredDefinition>(
    {
      name: 'fhir-definitions-since',
      text: `
  SELECT id, last_updated, deleted, content FROM resource
  WHERE type = 'StructureDefinition' AND last_updated > coalesce($1::timestamptz, '-infinity')
  ORDER BY last_updated, id`,
    },
    [since],
  );
}
