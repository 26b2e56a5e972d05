import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A search that is sorted by the main date and that many resources meet walks them in its order until the page is full. From this index it comes to the
 * row at once; from `search_date` each step was a look-up by id, five pages at a million resources.
 */
export class MainDateIndex1763700000022 implements MigrationInterface {
  name = 'MainDateIndex1763700000022';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE INDEX resource_main_date ON resource (type, main_date) WHERE main_date IS NOT NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX resource_main_date');
  }
}
