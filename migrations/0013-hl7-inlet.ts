import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Messages are stored and answered first and filed afterwards, in the order of their ids: `hl7_inbound` is itself the queue of what is to be
 * filed.
 *
 * `filing_outcome`: NULL waits to be filed; `filed`; `refused` at the door (`outcome` says why) and never to be filed; any other text is
 * the code of why filing holds it for the operator. `filed_at` is when filing decided, NULL for what it never saw.
 * `message_type` is MSH-9.1^MSH-9.2; `mrn` and `accession` are what the door read (PID-3.1; IPC-1, OBR-18), which filing
 * may put right; `peer` is the sender's address and the subject of its TLS certificate.
 */
export class Hl7Inlet1763700000013 implements MigrationInterface {
  name = 'Hl7Inlet1763700000013';

  async up(runner: QueryRunner): Promise<void> {
    // What was stored before was filed before it was answered. A constant default rewrites no row.
    await runner.query(`
      ALTER TABLE hl7_inbound
        ADD COLUMN peer text NOT NULL DEFAULT '',
        ADD COLUMN message_type text NOT NULL DEFAULT '',
        ADD COLUMN mrn text,
        ADD COLUMN accession text,
        ADD COLUMN filed_at timestamptz,
        ADD COLUMN filing_outcome text DEFAULT 'filed'`);
    await runner.query('ALTER TABLE hl7_inbound ALTER COLUMN filing_outcome DROP DEFAULT');
    await runner.query(`UPDATE hl7_inbound SET filing_outcome = 'refused' WHERE outcome <> 'accept'`);
    // The control id first: it is also what people search by.
    await runner.query('ALTER TABLE hl7_inbound DROP CONSTRAINT hl7_inbound_once');
    await runner.query(`ALTER TABLE hl7_inbound ADD CONSTRAINT hl7_inbound_once
      UNIQUE (control_id, sending_application, sending_facility, content_sha256)`);
    await runner.query('CREATE INDEX hl7_inbound_unfiled ON hl7_inbound (id) WHERE filing_outcome IS NULL');
    await runner.query(
      `CREATE INDEX hl7_inbound_held ON hl7_inbound (id) WHERE filing_outcome NOT IN ('filed', 'refused')`,
    );
    await runner.query('CREATE INDEX hl7_inbound_mrn ON hl7_inbound (mrn) WHERE mrn IS NOT NULL');
    await runner.query(
      'CREATE INDEX hl7_inbound_accession ON hl7_inbound (accession) WHERE accession IS NOT NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE hl7_inbound DROP CONSTRAINT hl7_inbound_once');
    await runner.query(`ALTER TABLE hl7_inbound ADD CONSTRAINT hl7_inbound_once
      UNIQUE (sending_application, sending_facility, control_id, content_sha256)`);
    await runner.query(`
      ALTER TABLE hl7_inbound DROP COLUMN peer, DROP COLUMN message_type, DROP COLUMN mrn, DROP COLUMN accession,
        DROP COLUMN filed_at, DROP COLUMN filing_outcome`);
  }
}
