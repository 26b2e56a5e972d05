import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `resource.main_date`: where the date begins by which resources of the type are mostly sorted (`fhir/search/main-date.ts`). A sorted search that
 * has collected its rows finds the key in them, and need not look up each in `search_date`.
 */
export class MainDate1763700000021 implements MigrationInterface {
  name = 'MainDate1763700000021';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE resource ADD COLUMN main_date timestamptz');
    await runner.query(`UPDATE resource SET main_date = s.lo FROM search_date s
      JOIN (VALUES ${MAIN_DATES.map(([type, code]) => `('${type}', '${code}')`).join(', ')}) AS m(type, code)
        ON s.type = m.type AND s.param = m.code
      WHERE resource.type = s.type AND resource.id = s.id`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE resource DROP COLUMN main_date');
  }
}

/** As they were when the column was made. */
const MAIN_DATES = [
  ['Appointment', 'date'],
  ['AuditEvent', 'date'],
  ['Communication', 'sent'],
  ['CommunicationRequest', 'authored'],
  ['Consent', 'date'],
  ['DiagnosticReport', 'date'],
  ['DocumentReference', 'date'],
  ['Encounter', 'date'],
  ['ImagingStudy', 'started'],
  ['Media', 'created'],
  ['Observation', 'date'],
  ['Procedure', 'date'],
  ['Provenance', 'recorded'],
  ['ServiceRequest', 'authored'],
  ['Task', 'authored-on'],
] as const;
