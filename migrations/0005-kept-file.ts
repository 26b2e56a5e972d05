import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Bytes too large for a handoff (key pictures), kept for a while under an id. */
export class KeptFile1763700000005 implements MigrationInterface {
  readonly name = 'KeptFile1763700000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE kept_file (
        id         uuid PRIMARY KEY,
        media_type text NOT NULL,
        content    bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    // PNG is compressed already: trying again would cost time and gain nothing.
    await runner.query(`ALTER TABLE kept_file ALTER COLUMN content SET STORAGE EXTERNAL`);
    await runner.query(`CREATE INDEX kept_file_created_at ON kept_file (created_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE kept_file');
  }
}
