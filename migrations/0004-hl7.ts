import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Every HL7 message in and out, as bytes, with its answer.
 *
 * Inbound, the unique key decides whether a message is a repeat: sender, control id, and the content without its time. Some senders use
 * one control id for all messages, so the content is part of it. Outbound, one row per version of a report.
 */
export class Hl71763700000004 implements MigrationInterface {
  name = 'Hl71763700000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hl7_inbound (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        received_at timestamptz NOT NULL DEFAULT now(),
        sending_application text NOT NULL,
        sending_facility text NOT NULL,
        control_id text NOT NULL,
        content_sha256 bytea NOT NULL,
        raw bytea NOT NULL,
        ack bytea NOT NULL DEFAULT '',
        outcome text NOT NULL DEFAULT '',
        flags text[] NOT NULL DEFAULT '{}',
        repeats integer NOT NULL DEFAULT 0,
        CONSTRAINT hl7_inbound_once UNIQUE (sending_application, sending_facility, control_id, content_sha256)
      )`);
    await runner.query('CREATE INDEX hl7_inbound_received_at ON hl7_inbound (received_at)');
    // Control ids must be unique for ever, also after a database was made anew: the sequence starts at the time of its making
    // in milliseconds, and less than one message per millisecond leaves.
    await runner.query('CREATE SEQUENCE hl7_control_id');
    await runner.query(
      `SELECT setval('hl7_control_id', (extract(epoch FROM clock_timestamp()) * 1000)::bigint)`,
    );
    await runner.query(`
      CREATE TABLE hl7_outbound (
        id uuid PRIMARY KEY,
        destination text NOT NULL,
        lane text NOT NULL,
        control_id text NOT NULL UNIQUE,
        raw bytea NOT NULL,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'acknowledged', 'rejected', 'given-up', 'dead')),
        report_id text NOT NULL,
        report_version integer NOT NULL,
        message_time timestamptz NOT NULL,
        unmapped_letters integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        sent_at timestamptz,
        acked_at timestamptz,
        ack bytea,
        attempts integer NOT NULL DEFAULT 0,
        errors_answered integer NOT NULL DEFAULT 0,
        last_error text,
        CONSTRAINT hl7_outbound_once UNIQUE (destination, report_id, report_version)
      )`);
    await runner.query(
      `CREATE INDEX hl7_outbound_open ON hl7_outbound (created_at) WHERE state <> 'acknowledged'`,
    );
    await runner.query('CREATE INDEX hl7_outbound_acked_at ON hl7_outbound (acked_at)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE hl7_outbound');
    await runner.query('DROP SEQUENCE hl7_control_id');
    await runner.query('DROP TABLE hl7_inbound');
  }
}
