import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Each message out that is not acknowledged has a narrow row beside its own: few, whatever the log holds. A trigger keeps them, whoever writes to
 * `hl7_outbound`; the row goes with the acknowledgement. A restore brings both, and says so (`prelim.restoring`).
 *
 * `hl7_outbound` then has no index that names its state or the time of its acknowledgement, so that a message that is taken up and acknowledged changes in
 * its page (a HOT update) and leaves twelve indexes alone: half of what it wrote to the disk. When a receiver last took something is read from the
 * tries, which are only ever added: a try without an error is an acknowledgement. Half of a page is left free, so that both changes of each row in
 * it find room.
 *
 * Of a lane of jobs only those that are held behind its head are looked for by number: the index holds no others, and a job that goes on leaves it alone.
 */
export class Hl7Unacknowledged1763700000024 implements MigrationInterface {
  name = 'Hl7Unacknowledged1763700000024';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX hl7_outbound_open, hl7_outbound_waiting, hl7_outbound_waiting_patient, hl7_outbound_dead, hl7_outbound_acked_at;
      CREATE TABLE hl7_unacknowledged (
        id uuid PRIMARY KEY,
        state text NOT NULL,
        destination text NOT NULL,
        lane text NOT NULL,
        report_id text NOT NULL,
        patient_id text NOT NULL,
        accession text NOT NULL,
        result_status text NOT NULL,
        created_at timestamptz NOT NULL
      );
      INSERT INTO hl7_unacknowledged (${COLUMNS.join(', ')}) SELECT ${COLUMNS.join(', ')} FROM hl7_outbound WHERE state <> 'acknowledged';
      CREATE INDEX hl7_unacknowledged_created_at ON hl7_unacknowledged (created_at, id);
      CREATE INDEX hl7_unacknowledged_waiting ON hl7_unacknowledged (created_at) WHERE state = 'waiting';
      CREATE INDEX hl7_unacknowledged_dead ON hl7_unacknowledged (created_at) WHERE state IN ('rejected', 'given-up', 'dead', 'unmade');
      CREATE INDEX hl7_unacknowledged_report ON hl7_unacknowledged (report_id) WHERE state = 'waiting';
      CREATE INDEX hl7_unacknowledged_patient ON hl7_unacknowledged (patient_id) WHERE state = 'waiting';
      CREATE INDEX hl7_unacknowledged_accession ON hl7_unacknowledged (accession) WHERE state = 'waiting' AND accession <> '';
      ALTER TABLE hl7_outbound SET (fillfactor = 50);
      CREATE INDEX hl7_attempt_taken ON hl7_attempt (ended_at) WHERE error IS NULL;
      CREATE INDEX outbox_held ON outbox (lane, id) WHERE state = 'held';
      DROP INDEX outbox_lane;
    `);
    await runner.query(`
      CREATE FUNCTION hl7_unacknowledged() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'INSERT' AND current_setting('prelim.restoring', true) = 'on' THEN
          RETURN NULL;
        ELSIF TG_OP = 'TRUNCATE' THEN
          TRUNCATE hl7_unacknowledged;
        ELSIF TG_OP = 'DELETE' OR NEW.state = 'acknowledged' THEN
          DELETE FROM hl7_unacknowledged WHERE id = OLD.id;
        ELSE
          INSERT INTO hl7_unacknowledged (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((one) => `NEW.${one}`).join(', ')})
            ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state, created_at = EXCLUDED.created_at;
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER hl7_outbound_added AFTER INSERT ON hl7_outbound
        FOR EACH ROW WHEN (NEW.state <> 'acknowledged') EXECUTE FUNCTION hl7_unacknowledged();
      CREATE TRIGGER hl7_outbound_changed AFTER UPDATE OF state, created_at ON hl7_outbound
        FOR EACH ROW WHEN (OLD.state <> NEW.state OR OLD.created_at <> NEW.created_at) EXECUTE FUNCTION hl7_unacknowledged();
      CREATE TRIGGER hl7_outbound_deleted AFTER DELETE ON hl7_outbound
        FOR EACH ROW WHEN (OLD.state <> 'acknowledged') EXECUTE FUNCTION hl7_unacknowledged();
      CREATE TRIGGER hl7_outbound_emptied AFTER TRUNCATE ON hl7_outbound
        FOR EACH STATEMENT EXECUTE FUNCTION hl7_unacknowledged();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER hl7_outbound_added ON hl7_outbound;
      DROP TRIGGER hl7_outbound_changed ON hl7_outbound;
      DROP TRIGGER hl7_outbound_deleted ON hl7_outbound;
      DROP TRIGGER hl7_outbound_emptied ON hl7_outbound;
      DROP FUNCTION hl7_unacknowledged();
      DROP TABLE hl7_unacknowledged;
      DROP INDEX hl7_attempt_taken;
      ALTER TABLE hl7_outbound SET (fillfactor = 70);
      CREATE INDEX outbox_lane ON outbox (lane, id) WHERE lane IS NOT NULL AND state <> 'dead';
      DROP INDEX outbox_held;
      CREATE INDEX hl7_outbound_open ON hl7_outbound (created_at) WHERE state <> 'acknowledged';
      CREATE INDEX hl7_outbound_acked_at ON hl7_outbound (acked_at);
      CREATE INDEX hl7_outbound_waiting ON hl7_outbound (report_id) WHERE state = 'waiting';
      CREATE INDEX hl7_outbound_waiting_patient ON hl7_outbound (patient_id) WHERE state = 'waiting';
      CREATE INDEX hl7_outbound_dead ON hl7_outbound (created_at) WHERE state IN ('rejected', 'given-up', 'dead', 'unmade');
    `);
  }
}

const COLUMNS = [
  'id',
  'state',
  'destination',
  'lane',
  'report_id',
  'patient_id',
  'accession',
  'result_status',
  'created_at',
];
