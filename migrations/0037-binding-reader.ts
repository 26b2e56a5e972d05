import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Under which grant a WebSocket token was asked for: what its socket is told is within it. A token of before has none and binds nothing; it was good for half an hour anyway.
 */
export class BindingReader1763700000037 implements MigrationInterface {
  name = 'BindingReader1763700000037';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE subscription_binding ADD COLUMN reader jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE subscription_binding DROP COLUMN reader');
  }
}
