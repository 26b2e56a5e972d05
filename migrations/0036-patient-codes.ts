import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Up to so many rows the index takes a second to make; with more the server makes it beside its work (`fhir/storage/keep-patient-codes.ts`), and writes go on. */
const ROWS_AT_ONCE_MAX = 20_000;

/**
 * Keys of patient and code together (`fhir/search/patient-codes.ts`), for `Observation?patient=…&code=…`: by their index the search reads as many pages among millions as among thousands. They are worked out
 * from the entries by PostgreSQL, so they hold for whatever wrote a row: a process of an earlier release too, and every row of before.
 *
 * A key is the end of the patient's id and the code, up to a line break: short, and whoever looks asks the entries as well. The entries become one text because PL/pgSQL takes twice the time to go through them one by one
 * (12 and 6 µs). IMMUTABLE: of texts `array_to_string` is. Not for parallel plans, which cost more than such a search. Without statistics: nothing asks for them, and each ANALYZE would run the function.
 */
export class PatientCodes1763700000036 implements MigrationInterface {
  name = 'PatientCodes1763700000036';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(String.raw`CREATE OR REPLACE FUNCTION observation_patient_codes(tokens text[]) RETURNS text[]
      LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE COST 1000 AS $$
      DECLARE
        entries text := E'\n' || array_to_string(tokens, E'\n');
        patients text[] := string_to_array(entries, E'\nObservation.subject>Patient/');
        codes text[] := string_to_array(entries, E'\nObservation.code#');
        patient text;
        keys text[] := '{}';
      BEGIN
        FOR p IN 2 .. cardinality(patients) LOOP
          patient := right(split_part(patients[p], E'\n', 1), 12) || ' ';
          FOR c IN 2 .. cardinality(codes) LOOP
            keys := keys || (patient || split_part(codes[c], E'\n', 1));
          END LOOP;
        END LOOP;
        RETURN keys;
      END $$`);
    const [{ rows }] = (await runner.query(
      `SELECT count(*)::int AS rows FROM (SELECT FROM resource LIMIT ${ROWS_AT_ONCE_MAX + 1}) present`,
    )) as [{ rows: number }];
    if (rows > ROWS_AT_ONCE_MAX) return;
    await runner.query(`CREATE INDEX resource_patient_codes ON resource USING gin (observation_patient_codes(tokens))
      WITH (fastupdate = off) WHERE (type = 'Observation') IS TRUE`);
    await runner.query('ALTER INDEX resource_patient_codes ALTER COLUMN 1 SET STATISTICS 0');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX IF EXISTS resource_patient_codes');
    await runner.query('DROP FUNCTION observation_patient_codes(text[])');
  }
}
