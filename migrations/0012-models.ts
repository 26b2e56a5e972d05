import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Every change of a model version's state, never changed or deleted: the newest row of a model is its state. */
export class Models1763700000012 implements MigrationInterface {
  name = 'Models1763700000012';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE model_release (
      number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      model text NOT NULL,
      state text NOT NULL CHECK (state IN ('shadow', 'pilot', 'live', 'retired')),
      at timestamptz NOT NULL,
      released_by text NOT NULL,
      reason text NOT NULL,
      sha256 text NOT NULL,
      proof text NOT NULL
    )`);
    await runner.query('CREATE INDEX model_release_model ON model_release (model, number DESC)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE model_release');
  }
}
