import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Binaries that were stored before their `securityContext` was indexed have no entry for it, and so are in no patient's compartment. Where there are Binaries, a re-index of
 * them is queued as `$reindex` would queue it: it runs in the background, once. Until it has passed, an app with `patient/` scopes does not see them.
 */
export class BinaryOwner1763700000035 implements MigrationInterface {
  name = 'BinaryOwner1763700000035';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      WITH run AS (
        INSERT INTO reindex_run (types, state)
        SELECT ARRAY['Binary'], 'waiting' WHERE EXISTS (SELECT 1 FROM resource WHERE type = 'Binary' AND NOT deleted)
        RETURNING id
      )
      INSERT INTO outbox (queue, payload, priority)
      SELECT 'fhir-reindex', jsonb_build_object('run', id::text), 900 FROM run
    `);
  }

  async down(): Promise<void> {
    // Entries that nobody asks for change nothing.
  }
}
