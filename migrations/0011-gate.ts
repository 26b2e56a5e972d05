import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the gate said, by scanner and over time. `gate_analysis`: one row per analysis that ended. `protocol_conformance`: one row per study and imaging
 * protocol. `gate_scanner`: the scanners met; there is a Device for each. Rows older than `GATE_KEPT_DAYS` are removed.
 */
export class Gate1763700000011 implements MigrationInterface {
  name = 'Gate1763700000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE gate_scanner (
        id text COLLATE "C" PRIMARY KEY,
        first_seen_at timestamptz NOT NULL
      );
      CREATE TABLE gate_analysis (
        task_id text COLLATE "C" PRIMARY KEY,
        at timestamptz NOT NULL,
        scanner text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('passed', 'warned', 'refused')),
        rules text[] COLLATE "C" NOT NULL
      );
      CREATE INDEX gate_analysis_at ON gate_analysis (at);
      CREATE TABLE protocol_conformance (
        study_key text COLLATE "C" NOT NULL,
        protocol text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        scanner text COLLATE "C" NOT NULL,
        deviations text[] COLLATE "C" NOT NULL,
        not_stated text[] COLLATE "C" NOT NULL,
        PRIMARY KEY (study_key, protocol)
      );
      CREATE INDEX protocol_conformance_at ON protocol_conformance (at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE protocol_conformance, gate_analysis, gate_scanner');
  }
}
