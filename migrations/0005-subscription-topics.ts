import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Subscriptions. An event is written in the transaction of the change that caused it, with its number: the counter's row is locked from
 * there to the commit, so numbers have no gaps and stand in the order of the commits. How far delivery has come stands in a table
 * of its own: a delivery never waits for a write, nor a write for a delivery.
 *
 * Of a resource an event holds type, id and version, never its content.
 */
export class SubscriptionTopics1763700000005 implements MigrationInterface {
  name = 'SubscriptionTopics1763700000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE subscription_counter (
        id text COLLATE "C" PRIMARY KEY,
        events bigint NOT NULL
      ) WITH (fillfactor = 50);

      CREATE TABLE subscription_event (
        subscription_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        type text NOT NULL,
        resource_id text NOT NULL,
        version integer NOT NULL,
        interaction text NOT NULL,
        PRIMARY KEY (subscription_id, number)
      );

      CREATE TABLE subscription_delivery (
        id text COLLATE "C" PRIMARY KEY,
        delivered bigint NOT NULL DEFAULT 0,
        failures integer NOT NULL DEFAULT 0,
        last_sent timestamptz,
        readable text[]
      ) WITH (fillfactor = 50);

      CREATE TABLE subscription_binding (
        token_sha256 bytea PRIMARY KEY,
        subscription_ids text[] NOT NULL,
        expires_at timestamptz NOT NULL
      );
      CREATE INDEX subscription_binding_expires ON subscription_binding (expires_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP TABLE subscription_binding, subscription_delivery, subscription_event, subscription_counter',
    );
  }
}
