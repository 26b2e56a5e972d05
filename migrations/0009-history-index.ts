import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Superseded versions in the order of time, for the history of a type and of the whole system; the current ones have `resource_last_updated`. */
export class HistoryIndex1763700000009 implements MigrationInterface {
  name = 'HistoryIndex1763700000009';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE INDEX resource_version_last_updated ON resource_version (type, last_updated, id)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX resource_version_last_updated');
  }
}
