import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whose study it is and by which number, as the PACS listed it last (a digest): a correction made in the PACS changes no count. */
export class StudyIdentity1763700000038 implements MigrationInterface {
  name = 'StudyIdentity1763700000038';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE study_watch ADD COLUMN listed_identity text');
    await runner.query(
      'CREATE INDEX study_watch_completed ON study_watch (completed_at) WHERE completed_count > 0',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX study_watch_completed');
    await runner.query('ALTER TABLE study_watch DROP COLUMN listed_identity');
  }
}
