import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A search for a reason or an error class among what was not acknowledged looked at each such message: 0.4 s with a receiver down and 100,000 that wait, of which hardly one was tried. The index holds those that
 * went wrong and no others, so a message that is sent and acknowledged at once is in none and changes in its page as before (see 0024). `text_pattern_ops`: an error class is the beginnings of
 * its reasons.
 */
export class Hl7ReasonIndex1763700000043 implements MigrationInterface {
  name = 'Hl7ReasonIndex1763700000043';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE INDEX hl7_outbound_reason ON hl7_outbound (last_error text_pattern_ops) WHERE last_error IS NOT NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX hl7_outbound_reason');
  }
}
