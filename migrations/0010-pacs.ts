import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Every DICOM object made of a report for the PACS. The bytes are kept until the PACS has them, so that a repeat after a crash sends the
 * same ones; the rest stays, because a later version names the earlier one and a withdrawal names all.
 */
export class PacsObjects1763700000010 implements MigrationInterface {
  name = 'PacsObjects1763700000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE pacs_object (
        sop_instance_uid text PRIMARY KEY,
        sop_class_uid text NOT NULL,
        series_instance_uid text NOT NULL,
        study_instance_uid text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('sr', 'seg', 'sc', 'ko')),
        report_id text NOT NULL,
        report_version integer NOT NULL,
        bytes bytea,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'refused')),
        attempts integer NOT NULL DEFAULT 0,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        stored_at timestamptz
      )`);
    await runner.query('CREATE INDEX pacs_object_report ON pacs_object (report_id, report_version)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE pacs_object');
  }
}
