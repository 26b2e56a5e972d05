import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Operating the HL7 side: who did what, selections for bulk actions, and a log that cannot be edited.
 *
 * The trigger refuses to change or delete what was logged: only a transaction that has said `prelim.retention` may, and only retention says it. On
 * `hl7_inbound` and `hl7_outbound` it watches deletion and the columns that say what came or went; their states go on changing and cost nothing more.
 * `raw` is kept uncompressed outside of the row as soon as the row is large, so a report with a PDF in OBX-5 does not swell the table that is searched.
 */
export class Hl7Operations1763700000015 implements MigrationInterface {
  name = 'Hl7Operations1763700000015';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hl7_action (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        action text NOT NULL,
        direction text CHECK (direction IN ('in', 'out')),
        message_id text,
        destination text,
        lane text,
        reason text NOT NULL DEFAULT '',
        detail jsonb NOT NULL DEFAULT '{}'
      );
      CREATE INDEX hl7_action_message ON hl7_action (message_id) WHERE message_id IS NOT NULL;
      CREATE INDEX hl7_action_at ON hl7_action (at);

      CREATE TABLE hl7_selection (
        token text PRIMARY KEY,
        actor text NOT NULL,
        action text NOT NULL,
        direction text NOT NULL CHECK (direction IN ('in', 'out')),
        message_ids text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        used_at timestamptz
      );

      ALTER TABLE hl7_inbound ADD COLUMN raw_dropped_at timestamptz;
      ALTER TABLE hl7_outbound ADD COLUMN raw_dropped_at timestamptz;
      ALTER TABLE hl7_inbound ALTER COLUMN raw SET STORAGE EXTERNAL;
      ALTER TABLE hl7_outbound ALTER COLUMN raw SET STORAGE EXTERNAL;

      CREATE INDEX hl7_inbound_type ON hl7_inbound (message_type, received_at);
      CREATE INDEX hl7_inbound_refused ON hl7_inbound (received_at) WHERE filing_outcome = 'refused';
      CREATE INDEX hl7_outbound_type ON hl7_outbound (message_type, created_at);
      CREATE INDEX hl7_outbound_destination ON hl7_outbound (destination, created_at);
      CREATE INDEX hl7_outbound_lane ON hl7_outbound (lane, created_at);
      CREATE INDEX hl7_outbound_dead ON hl7_outbound (created_at) WHERE state IN ('rejected', 'given-up', 'dead', 'unmade');
      CREATE INDEX hl7_inbound_large ON hl7_inbound (received_at) WHERE octet_length(raw) >= 65536;
      CREATE INDEX hl7_outbound_large ON hl7_outbound (created_at) WHERE octet_length(raw) >= 65536;
    `);
    await runner.query(`
      CREATE FUNCTION hl7_log_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF coalesce(current_setting('prelim.retention', true), '') <> 'on' THEN
          RAISE EXCEPTION 'the message log is append-only: % of % is refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
      END $$`);
    for (const { table, columns } of KEPT) {
      await runner.query(`CREATE TRIGGER ${table}_kept BEFORE DELETE OR UPDATE${columns} ON ${table}
        FOR EACH ROW EXECUTE FUNCTION hl7_log_is_kept()`);
      await runner.query(`CREATE TRIGGER ${table}_not_emptied BEFORE TRUNCATE ON ${table}
        FOR EACH STATEMENT EXECUTE FUNCTION hl7_log_is_kept()`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { table } of KEPT) {
      await runner.query(`DROP TRIGGER ${table}_kept ON ${table}`);
      await runner.query(`DROP TRIGGER ${table}_not_emptied ON ${table}`);
    }
    await runner.query(`
      DROP FUNCTION hl7_log_is_kept();
      DROP INDEX hl7_inbound_type, hl7_inbound_refused, hl7_outbound_type, hl7_outbound_destination, hl7_outbound_lane, hl7_outbound_dead,
        hl7_inbound_large, hl7_outbound_large;
      ALTER TABLE hl7_inbound ALTER COLUMN raw SET STORAGE EXTENDED;
      ALTER TABLE hl7_outbound ALTER COLUMN raw SET STORAGE EXTENDED;
      ALTER TABLE hl7_inbound DROP COLUMN raw_dropped_at;
      ALTER TABLE hl7_outbound DROP COLUMN raw_dropped_at;
      DROP TABLE hl7_selection;
      DROP TABLE hl7_action`);
  }
}

const KEPT = [
  { table: 'hl7_action', columns: '' },
  { table: 'hl7_attempt', columns: '' },
  { table: 'hl7_inbound', columns: ' OF raw, control_id, content_sha256, received_at' },
  { table: 'hl7_outbound', columns: ' OF raw, control_id, created_at' },
] as const;
