import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What is told again: a structured report has a digest of what it says, so that an edit of a finding makes another only where it would say something else; and
 * what was counted for a bulk action may be counted for another destination.
 */
export class ToldAgain1763700000029 implements MigrationInterface {
  name = 'ToldAgain1763700000029';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE pacs_object ADD COLUMN content_digest text');
    await runner.query('ALTER TABLE hl7_selection ADD COLUMN destination text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE hl7_selection DROP COLUMN destination');
    await runner.query('ALTER TABLE pacs_object DROP COLUMN content_digest');
  }
}
