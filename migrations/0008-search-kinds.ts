import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the search kinds need beyond the tables of 0002.
 *
 * `search_quantity.canonical…`: the value in base units of UCUM, beside the value as it was sent; for units that are not converted the code
 * itself and the same range. So one index answers both, and a write keeps as many index entries as before. `within`: see
 * `composite-roots.ts`; null in most rows, which costs a bit.
 *
 * `fhir_folded` does in SQL what `folded` in `kinds/string.ts` does, for `:text`, which is answered from the JSON.
 *
 * `site_parameter` and `reindex_run` hold the search parameters of the site's own and the work that makes them usable.
 */
export class SearchKinds1763700000008 implements MigrationInterface {
  name = 'SearchKinds1763700000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE search_number ADD COLUMN within text[] COLLATE "C";
      ALTER TABLE search_quantity
        ADD COLUMN canonical text COLLATE "C" NOT NULL DEFAULT '',
        ADD COLUMN canonical_lo numeric NOT NULL DEFAULT 'NaN',
        ADD COLUMN canonical_hi numeric NOT NULL DEFAULT 'NaN',
        ADD COLUMN within text[] COLLATE "C";
      UPDATE search_quantity SET canonical = code, canonical_lo = lo, canonical_hi = hi;
      ALTER TABLE search_quantity
        ALTER COLUMN canonical DROP DEFAULT, ALTER COLUMN canonical_lo DROP DEFAULT, ALTER COLUMN canonical_hi DROP DEFAULT;
      DROP INDEX search_quantity_value;
      CREATE INDEX search_quantity_value ON search_quantity (type, param, canonical, canonical_lo, canonical_hi, id);
    `);
    await runner.query(FOLDED);
    await runner.query(TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE reindex_run, site_parameter;
      DROP FUNCTION fhir_folded(text);
      DROP INDEX search_quantity_value;
      ALTER TABLE search_quantity
        DROP COLUMN canonical, DROP COLUMN canonical_lo, DROP COLUMN canonical_hi, DROP COLUMN within;
      ALTER TABLE search_number DROP COLUMN within;
      CREATE INDEX search_quantity_value ON search_quantity (type, param, code, lo, hi, id);
    `);
  }
}

/** The cost tells the planner to look at everything else first. */
const FOLDED = `
  CREATE FUNCTION fhir_folded(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 2000 AS $$
    SELECT btrim(regexp_replace(
      replace(replace(replace(replace(
        translate(lower(regexp_replace(normalize($1, NFKD), '[\\u0300-\\u036f]', '', 'g')), 'øłđðı', 'olddi'),
        'ß', 'ss'), 'þ', 'th'), 'æ', 'ae'), 'œ', 'oe'),
      '\\s+', ' ', 'g'))
  $$;
`;

/**
 * `site_parameter`: one row per SearchParameter resource in use. `announced_at`: from then on processes learn of it and index by it; `active`: everything is
 * indexed, it may be searched. `reindex_run`: one row per run; `position` is the last resource done, so a run goes on where it stopped.
 */
const TABLES = `
  CREATE TABLE site_parameter (
    id text COLLATE "C" PRIMARY KEY,
    definition text NOT NULL,
    active boolean NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT now(),
    run bigint
  );
  CREATE TABLE reindex_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    types text[] COLLATE "C" NOT NULL,
    parameter text COLLATE "C",
    state text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    position_type text COLLATE "C" NOT NULL DEFAULT '',
    position_id text COLLATE "C" NOT NULL DEFAULT '',
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    swept_at timestamptz,
    finished_at timestamptz
  );
`;
