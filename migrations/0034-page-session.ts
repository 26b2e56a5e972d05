import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who is signed in to the browser pages of this server: a cookie of the browser and a word of the tab name a row together, both as digests, and the row
 * names the approval that it may use.
 */
export class PageSession1763700000034 implements MigrationInterface {
  name = 'PageSession1763700000034';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE auth_page (
        browser_sha256 text NOT NULL,
        tab_sha256 text NOT NULL,
        family text NOT NULL,
        ends_at timestamptz NOT NULL,
        PRIMARY KEY (browser_sha256, tab_sha256)
      );
      CREATE INDEX auth_page_ends ON auth_page (ends_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE auth_page');
  }
}
