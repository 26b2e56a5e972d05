import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What each process has let through of late, for limits that hold for all processes together. A row per process, written at most once a second and
 * worth nothing a minute later, so it is not logged: a crash of the database may empty it.
 */
export class RateUse1763700000033 implements MigrationInterface {
  name = 'RateUse1763700000033';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE UNLOGGED TABLE rate_use (
        process text COLLATE "C" PRIMARY KEY,
        use json NOT NULL,
        told_at timestamptz NOT NULL DEFAULT now()
      ) WITH (fillfactor = 50);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE rate_use');
  }
}
