import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * By which message (its times and its sender) each element of a patient, a visit and an order was said last, so that a message that comes late does not undo a newer one.
 * Written with the resource. What was filed before has no row: what comes next counts.
 */
export class Hl7Told1763700000041 implements MigrationInterface {
  name = 'Hl7Told1763700000041';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hl7_told (
        type text COLLATE "C" NOT NULL,
        resource_id text COLLATE "C" NOT NULL,
        told text NOT NULL,
        PRIMARY KEY (type, resource_id)
      )
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE hl7_told');
  }
}
