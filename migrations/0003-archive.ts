import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index of the embedded archive: one row per study, series and instance with what QIDO-RS asks for; the files stand on
 * disk. And `study_watch`: how far the study step has looked at a growing study.
 */
export class Archive1763700000003 implements MigrationInterface {
  name = 'Archive1763700000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE archive_study (
        study_instance_uid  text PRIMARY KEY,
        patient_id          text NOT NULL DEFAULT '',
        patient_name        text NOT NULL DEFAULT '',
        patient_birth_date  text NOT NULL DEFAULT '',
        accession_number    text NOT NULL DEFAULT '',
        study_id            text NOT NULL DEFAULT '',
        study_date          text NOT NULL DEFAULT '',
        study_time          text NOT NULL DEFAULT '',
        study_description   text NOT NULL DEFAULT '',
        referring_physician text NOT NULL DEFAULT '',
        attributes          text NOT NULL,
        first_stored_at     timestamptz NOT NULL DEFAULT now(),
        last_stored_at      timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`CREATE INDEX archive_study_date ON archive_study (study_date, study_instance_uid)`);
    await runner.query(`CREATE INDEX archive_study_patient ON archive_study (patient_id)`);
    await runner.query(`CREATE INDEX archive_study_accession ON archive_study (accession_number)`);
    await runner.query(`CREATE INDEX archive_study_stored ON archive_study (last_stored_at)`);
    await runner.query(`
      CREATE TABLE archive_series (
        study_instance_uid  text NOT NULL REFERENCES archive_study,
        series_instance_uid text NOT NULL,
        modality            text NOT NULL DEFAULT '',
        series_number       text NOT NULL DEFAULT '',
        body_part           text NOT NULL DEFAULT '',
        series_description  text NOT NULL DEFAULT '',
        attributes          text NOT NULL,
        PRIMARY KEY (study_instance_uid, series_instance_uid)
      )`);
    await runner.query(`
      CREATE TABLE archive_instance (
        sop_instance_uid    text PRIMARY KEY,
        study_instance_uid  text NOT NULL,
        series_instance_uid text NOT NULL,
        sop_class_uid       text NOT NULL,
        transfer_syntax_uid text NOT NULL,
        instance_number     text NOT NULL DEFAULT '',
        path                text NOT NULL,
        bytes               bigint NOT NULL,
        sha256              text NOT NULL,
        attributes          text NOT NULL,
        metadata            text NOT NULL,
        stored_at           timestamptz NOT NULL DEFAULT now(),
        FOREIGN KEY (study_instance_uid, series_instance_uid) REFERENCES archive_series
      )`);
    await runner.query(
      `CREATE INDEX archive_instance_series ON archive_instance (study_instance_uid, series_instance_uid, sop_instance_uid)`,
    );
    await runner.query(`
      CREATE TABLE study_watch (
        study_instance_uid text PRIMARY KEY,
        instance_count     integer NOT NULL,
        looks              integer NOT NULL,
        first_seen         timestamptz NOT NULL,
        last_change        timestamptz NOT NULL,
        completed_count    integer NOT NULL DEFAULT 0,
        completed_at       timestamptz,
        unmatched_reason   text
      )`);
    await runner.query(
      `CREATE INDEX study_watch_unmatched ON study_watch (completed_at) WHERE unmatched_reason IS NOT NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE study_watch, archive_instance, archive_series, archive_study');
  }
}
