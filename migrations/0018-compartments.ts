import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What access rules need beyond the index of resources, which holds compartments and labels already.
 *
 * `access_opt_out`: patients whose data are not disclosed to those who do not treat them, one row per active Consent that says so; written with the Consent.
 * `subscription_delivery.author` and `bulk_job.rights`: the grant under which somebody asked for work that goes on after the answer.
 */
export class Compartments1763700000018 implements MigrationInterface {
  name = 'Compartments1763700000018';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE access_opt_out (
        consent text COLLATE "C" PRIMARY KEY,
        patient text COLLATE "C" NOT NULL,
        starts_at timestamptz NOT NULL DEFAULT '-infinity',
        ends_at timestamptz NOT NULL DEFAULT 'infinity'
      );
      CREATE INDEX access_opt_out_patient ON access_opt_out (patient);
      ALTER TABLE subscription_delivery ADD COLUMN author jsonb;
      ALTER TABLE bulk_job ADD COLUMN rights jsonb;
    `);
    // Consents of before: those that deny by their own rule. Their period is read when they are written again; until then they hold.
    await runner.query(`
      INSERT INTO access_opt_out (consent, patient)
      SELECT id, substr(content::jsonb #>> '{patient,reference}', 9) FROM resource
      WHERE type = 'Consent' AND NOT deleted AND tokens && ARRAY['Consent.status#active']
        AND content::jsonb @> '{"scope":{"coding":[{"code":"patient-privacy"}]},"provision":{"type":"deny"}}'
        AND content::jsonb #>> '{patient,reference}' ~ '^Patient/[A-Za-z0-9.-]{1,64}$'
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE bulk_job DROP COLUMN rights;
      ALTER TABLE subscription_delivery DROP COLUMN author;
      DROP TABLE access_opt_out;
    `);
  }
}
