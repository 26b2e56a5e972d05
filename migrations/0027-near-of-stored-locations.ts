import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Locations that were stored before `near` could be searched have no row for it. Where there are such, a re-index of Location is queued as `$reindex` would queue it: it runs in the
 * background, once, and `$reindex-status` shows it. Nothing else changes, so the version before works on.
 */
export class NearOfStoredLocations1763700000027 implements MigrationInterface {
  name = 'NearOfStoredLocations1763700000027';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      WITH run AS (
        INSERT INTO reindex_run (types, state)
        SELECT ARRAY['Location'], 'waiting' WHERE EXISTS (
          SELECT 1 FROM resource r WHERE r.type = 'Location' AND NOT r.deleted AND position('"position"' in r.content) > 0
            AND NOT EXISTS (SELECT 1 FROM search_number s WHERE s.type = 'Location' AND s.id = r.id AND s.param = 'near'))
        RETURNING id
      )
      INSERT INTO outbox (queue, payload, priority)
      SELECT 'fhir-reindex', jsonb_build_object('run', id::text), 900 FROM run
    `);
  }

  async down(): Promise<void> {
    // Rows that were indexed anew are right before and after.
  }
}
