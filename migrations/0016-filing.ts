import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Where in a message the fault is that filing found, as an ERR segment says it (`PID^1^3`): the message was answered before, so the operator
 * reads it in the log. Never a value of the message.
 */
export class Filing1763700000016 implements MigrationInterface {
  name = 'Filing1763700000016';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hl7_inbound ADD COLUMN filing_location text NOT NULL DEFAULT ''`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE hl7_inbound DROP COLUMN filing_location');
  }
}
