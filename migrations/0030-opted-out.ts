import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Is a row of a patient who has opted out, by any of these reference parameters? Asked where a look at the entries as one text (`src/fhir/access-rule.ts`) does not settle it, which is
 * seldom; as a function its plan is no part of the statements that ask, and they start sooner. STABLE: it sees what the statement sees.
 */
export class OptedOut1763700000030 implements MigrationInterface {
  name = 'OptedOut1763700000030';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE FUNCTION access_opted_out(tokens text[], heads text[]) RETURNS boolean
      LANGUAGE sql STABLE PARALLEL SAFE AS $$
        SELECT EXISTS (SELECT 1 FROM access_opt_out o WHERE o.starts_at <= now() AND o.ends_at > now()
          AND o.patient = ANY (ARRAY(SELECT split_part(entry, '>Patient/', 2) FROM unnest(tokens) entry
            WHERE strpos(entry, '>Patient/') > 0 AND split_part(entry, '>Patient/', 1) = ANY (heads)))) $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION access_opted_out(text[], text[])');
  }
}
