import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Results to several destinations: each try to send is a row that is never changed, destinations and lanes can be held, and
 * a message carries what people search by.
 *
 * `hl7_outbound` is updated at each try and holds the whole message, so bytes that make a row large leave it for the TOAST table: an
 * update then copies a few hundred bytes. A message may be made again for the same version of a report (`revision`); sending the same bytes
 * again is the same row again.
 *
 * `state`: `waiting` to be sent; `acknowledged`; `rejected` (AR), `given-up` (AE too often), `dead` (its job was given up); `superseded` by the
 * message that `superseded_by` names, and not sent; `stopped` before it was sent, `last_error` says why; `discarded` by a person; `unmade`: the
 * record makes no message (`raw` is empty, `last_error` is the code).
 */
export class Hl7Destinations1763700000014 implements MigrationInterface {
  name = 'Hl7Destinations1763700000014';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hl7_attempt (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        message_id uuid NOT NULL,
        destination text NOT NULL,
        attempt integer NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        outcome text NOT NULL,
        ack bytea,
        error text
      );
      CREATE INDEX hl7_attempt_message ON hl7_attempt (message_id);
      CREATE INDEX hl7_attempt_ended_at ON hl7_attempt USING brin (ended_at);

      CREATE TABLE hl7_destination (
        destination text PRIMARY KEY,
        held_at timestamptz NOT NULL DEFAULT now(),
        held_by text NOT NULL,
        reason text NOT NULL DEFAULT ''
      );
      CREATE TABLE hl7_lane_hold (
        lane text PRIMARY KEY,
        destination text NOT NULL,
        message_id uuid,
        held_at timestamptz NOT NULL DEFAULT now(),
        held_by text NOT NULL,
        reason text NOT NULL DEFAULT ''
      );

      ALTER TABLE hl7_outbound SET (toast_tuple_target = 1024, fillfactor = 70);
      ALTER TABLE hl7_outbound
        ADD COLUMN message_type text NOT NULL DEFAULT 'ORU^R01',
        ADD COLUMN patient_id text NOT NULL DEFAULT '',
        ADD COLUMN mrn text NOT NULL DEFAULT '',
        ADD COLUMN accession text NOT NULL DEFAULT '',
        ADD COLUMN placer text NOT NULL DEFAULT '',
        ADD COLUMN result_status text NOT NULL DEFAULT '',
        ADD COLUMN profile text NOT NULL DEFAULT '',
        ADD COLUMN profile_version text NOT NULL DEFAULT '',
        ADD COLUMN revision integer NOT NULL DEFAULT 1,
        ADD COLUMN version_of uuid,
        ADD COLUMN superseded_by uuid,
        ADD COLUMN line_ids jsonb NOT NULL DEFAULT '{}',
        DROP CONSTRAINT hl7_outbound_once,
        ADD CONSTRAINT hl7_outbound_once UNIQUE (destination, report_id, report_version, revision),
        DROP CONSTRAINT hl7_outbound_state_check,
        ADD CONSTRAINT hl7_outbound_state_check CHECK (state IN
          ('waiting', 'acknowledged', 'rejected', 'given-up', 'dead', 'superseded', 'stopped', 'discarded', 'unmade'));
      CREATE INDEX hl7_outbound_created_at ON hl7_outbound (created_at);
      CREATE INDEX hl7_outbound_mrn ON hl7_outbound (mrn) WHERE mrn <> '';
      CREATE INDEX hl7_outbound_accession ON hl7_outbound (accession) WHERE accession <> '';
      CREATE INDEX hl7_outbound_waiting ON hl7_outbound (report_id) WHERE state = 'waiting';
      CREATE INDEX hl7_outbound_waiting_patient ON hl7_outbound (patient_id) WHERE state = 'waiting';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hl7_attempt, hl7_destination, hl7_lane_hold;
      DROP INDEX hl7_outbound_created_at, hl7_outbound_mrn, hl7_outbound_accession, hl7_outbound_waiting,
        hl7_outbound_waiting_patient;
      ALTER TABLE hl7_outbound RESET (toast_tuple_target, fillfactor);
      DELETE FROM hl7_outbound WHERE revision > 1;
      UPDATE hl7_outbound SET state = 'dead' WHERE state IN ('superseded', 'stopped', 'discarded', 'unmade');
      ALTER TABLE hl7_outbound
        DROP CONSTRAINT hl7_outbound_once,
        DROP CONSTRAINT hl7_outbound_state_check,
        DROP COLUMN message_type, DROP COLUMN patient_id, DROP COLUMN mrn, DROP COLUMN accession, DROP COLUMN placer,
        DROP COLUMN result_status, DROP COLUMN profile, DROP COLUMN profile_version, DROP COLUMN revision,
        DROP COLUMN version_of, DROP COLUMN superseded_by, DROP COLUMN line_ids,
        ADD CONSTRAINT hl7_outbound_once UNIQUE (destination, report_id, report_version),
        ADD CONSTRAINT hl7_outbound_state_check CHECK (state IN ('waiting', 'acknowledged', 'rejected', 'given-up', 'dead'));
    `);
  }
}
