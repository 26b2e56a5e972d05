import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `resource.sole_patient`: the one Patient that a row's entries name (`fhir/search/sole-patient.ts`); empty: none. Rows of before have null, which says nothing: then the
 * entries are asked as they were until now. `sole_patient_at` is the version it was said of: a process of an earlier release that still runs beside us writes versions without either. A row gets it when it is written or re-indexed; to fill millions of them here would keep the server from starting.
 */
export class SolePatient1763700000031 implements MigrationInterface {
  name = 'SolePatient1763700000031';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE resource ADD COLUMN sole_patient text COLLATE "C", ADD COLUMN sole_patient_at integer',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE resource DROP COLUMN sole_patient, DROP COLUMN sole_patient_at');
  }
}
