import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Jobs. Of a lane only the head is `waiting` or `running` (the unique index sees to that), what follows is `held` until the head has ended:
 * so whoever claims looks at rows that may run and never at those behind them, however many they are.
 */
export class Outbox1763700000001 implements MigrationInterface {
  name = 'Outbox1763700000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outbox (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        queue       text NOT NULL,
        payload     jsonb NOT NULL,
        lane        text,
        key         text,
        priority    smallint NOT NULL DEFAULT 100,
        state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'held', 'dead')),
        again       boolean NOT NULL DEFAULT false,
        attempt     integer NOT NULL DEFAULT 0,
        not_before  timestamptz NOT NULL DEFAULT now(),
        runner      integer,
        reason      text,
        created_at  timestamptz NOT NULL DEFAULT now(),
        started_at  timestamptz
      ) WITH (fillfactor = 70);
      CREATE UNIQUE INDEX outbox_key ON outbox (queue, key) WHERE key IS NOT NULL AND state <> 'dead';
      CREATE INDEX outbox_due ON outbox (queue, priority, id) WHERE state = 'waiting';
      CREATE INDEX outbox_later ON outbox (not_before) WHERE state = 'waiting';
      CREATE INDEX outbox_lane ON outbox (lane, id) WHERE lane IS NOT NULL AND state <> 'dead';
      CREATE UNIQUE INDEX outbox_lane_head ON outbox (lane) WHERE lane IS NOT NULL AND state IN ('waiting', 'running');
      CREATE INDEX outbox_running ON outbox (runner) WHERE state = 'running';
      CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE outbox');
  }
}
