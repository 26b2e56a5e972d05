import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a rejection note names, and why, is kept with it: what stands in the PACS is what no note names. */
export class PacsRejects1763700000032 implements MigrationInterface {
  name = 'PacsRejects1763700000032';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE pacs_object ADD COLUMN rejects text[], ADD COLUMN rejects_for text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE pacs_object DROP COLUMN rejects, DROP COLUMN rejects_for');
  }
}
