import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Changes of which it is not known yet whether a Subscription is told of them, since the answer may take longer than a write may, and those that come behind
 * them: they are told in this order.
 */
export class LateQuestions1763700000039 implements MigrationInterface {
  name = 'LateQuestions1763700000039';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE subscription_question (
        subscription_id text COLLATE "C" NOT NULL,
        number bigint GENERATED ALWAYS AS IDENTITY,
        type text NOT NULL,
        resource_id text NOT NULL,
        version int NOT NULL,
        interaction text NOT NULL,
        query text,
        PRIMARY KEY (subscription_id, number)
      )
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE subscription_question');
  }
}
