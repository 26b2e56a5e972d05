import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Code systems too large for a resource. Each import makes a partition of its own per table, fills and indexes it and attaches it with
 * its commit: a failed import leaves nothing behind, and replacing or removing a code system drops tables in place of deleting rows.
 *
 * Concepts are numbered in the order in which they are shown. `ancestors` and `terminology_list.ids` are ascending concept numbers as bytes
 * (`src/terminology/sets/id-list.ts`). Lists are looked up by kind and term:
 *   `w` word            concepts with the word in a name
 *   `p` beginning       concepts with a word that begins with these one to three letters
 *   `d` concept number  everything under the concept
 *   `c` concept number  its children
 *   `s` state           `inactive`, `abstract`
 */
export class Terminology1763700000006 implements MigrationInterface {
  name = 'Terminology1763700000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE terminology_system (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        url text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        concepts integer NOT NULL,
        case_sensitive boolean NOT NULL,
        properties jsonb NOT NULL,
        imported_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (url, version)
      );
      CREATE TABLE terminology_concept (
        system integer NOT NULL,
        id integer NOT NULL,
        code text COLLATE "C" NOT NULL,
        display text NOT NULL,
        definition text,
        inactive boolean NOT NULL,
        abstract boolean NOT NULL,
        parents bytea NOT NULL,
        ancestors bytea NOT NULL
      ) PARTITION BY LIST (system);
      CREATE TABLE terminology_property (
        system integer NOT NULL,
        concept integer NOT NULL,
        property text COLLATE "C" NOT NULL,
        value text COLLATE "C" NOT NULL
      ) PARTITION BY LIST (system);
      CREATE TABLE terminology_designation (
        system integer NOT NULL,
        concept integer NOT NULL,
        language text COLLATE "C",
        use_system text,
        use_code text,
        use_display text,
        value text NOT NULL
      ) PARTITION BY LIST (system);
      CREATE TABLE terminology_list (
        system integer NOT NULL,
        kind "char" NOT NULL,
        term text COLLATE "C" NOT NULL,
        ids bytea NOT NULL
      ) PARTITION BY LIST (system);
      ALTER TABLE terminology_list ALTER COLUMN ids SET STORAGE EXTERNAL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE terminology_list, terminology_designation, terminology_property, terminology_concept, terminology_system;
    `);
  }
}
