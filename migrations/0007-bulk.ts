import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Bulk exports and imports that were asked for, how far they are, and the files they have written under PRELIM_DATA/bulk/<id>.
 *
 * `position` says where the next step begins; `step` counts the steps, so that of two processes that run one job by mistake only one gets on.
 * `bytes` of a file is what is known to be written: a file that is longer after a crash is cut to it. `settled_after` is a transaction number:
 * once all transactions below it have ended, everything up to `created_at` can be seen.
 */
export class Bulk1763700000007 implements MigrationInterface {
  name = 'Bulk1763700000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE bulk_job (
        id uuid PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('export', 'import')),
        client_id text NOT NULL,
        scopes jsonb NOT NULL,
        request jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        settled_after text,
        state text NOT NULL DEFAULT 'accepted' CHECK (state IN ('accepted', 'running', 'done', 'failed', 'cancelled')),
        step bigint NOT NULL DEFAULT 0,
        position jsonb NOT NULL DEFAULT '{}',
        done bigint NOT NULL DEFAULT 0,
        failed bigint NOT NULL DEFAULT 0,
        fault text,
        expires_at timestamptz
      );
      CREATE INDEX bulk_job_open ON bulk_job (client_id) WHERE state IN ('accepted', 'running');
      CREATE TABLE bulk_file (
        job uuid NOT NULL REFERENCES bulk_job ON DELETE CASCADE,
        number integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('output', 'error', 'deleted')),
        type text NOT NULL,
        lines bigint NOT NULL,
        bytes bigint NOT NULL,
        PRIMARY KEY (job, number)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE bulk_file, bulk_job');
  }
}
