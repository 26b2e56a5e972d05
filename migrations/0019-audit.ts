import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The audit: rows are added and never changed. A row holds the events that were committed together, and is a link of the chain of the process that
 * wrote it (`segment`). `keys` are what events are found by; the FHIR AuditEvents are made of `content` when they are read. Where the tables have an
 * owner of their own, the server's role has INSERT and SELECT only (`src/database/open-database.ts`); the triggers refuse everybody else.
 */
export class Audit1763700000019 implements MigrationInterface {
  name = 'Audit1763700000019';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE audit_segment (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      started_at timestamptz NOT NULL,
      host text NOT NULL,
      process integer NOT NULL
    )`);
    await runner.query(`CREATE TABLE audit_event (
      segment integer NOT NULL,
      seq bigint NOT NULL,
      at timestamptz(3) NOT NULL,
      prev bytea NOT NULL,
      hash bytea NOT NULL,
      keys integer[] NOT NULL,
      content text NOT NULL,
      PRIMARY KEY (segment, seq)
    )`);
    // Compressing a group costs more than its place on the disk.
    await runner.query('ALTER TABLE audit_event ALTER COLUMN content SET STORAGE EXTERNAL');
    await runner.query('CREATE INDEX audit_event_at ON audit_event (at, segment, seq)');
    // A long list of entries that wait to be sorted in would be sorted in by the one who happens to fill it.
    await runner.query(
      'CREATE INDEX audit_event_keys ON audit_event USING gin (keys) WITH (gin_pending_list_limit = 512)',
    );
    // How far the chain of a process that is no more reaches, and which of its rows were never committed; said by a row of a later chain.
    await runner.query(`CREATE TABLE audit_segment_end (
      segment integer PRIMARY KEY,
      by_segment integer NOT NULL,
      by_seq bigint NOT NULL
    )`);
    // Where the chain of a segment begins after older rows were removed in due time.
    await runner.query(`CREATE TABLE audit_pruned (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL,
      jws text NOT NULL
    )`);
    // How far the export has come. No evidence: it may be changed.
    await runner.query(`CREATE TABLE audit_export (
      target text NOT NULL,
      segment integer NOT NULL,
      seq bigint NOT NULL,
      PRIMARY KEY (target, segment)
    )`);
    await runner.query(`CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP = 'DELETE' AND current_setting('prelim.audit_prune', true) = 'on'
            AND current_user = (SELECT tableowner FROM pg_tables WHERE tablename = TG_TABLE_NAME AND schemaname = TG_TABLE_SCHEMA) THEN
          RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit records are added and never changed' USING ERRCODE = 'insufficient_privilege';
      END $$`);
    for (const table of ['audit_event', 'audit_segment', 'audit_segment_end', 'audit_pruned']) {
      await runner.query(
        `CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()`,
      );
      await runner.query(
        `CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()`,
      );
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['audit_export', 'audit_pruned', 'audit_segment_end', 'audit_event', 'audit_segment'])
      await runner.query(`DROP TABLE ${table}`);
    await runner.query('DROP FUNCTION audit_refuse()');
  }
}
