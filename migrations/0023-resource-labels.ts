import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `resource_label`: every profile, tag and security label that a resource of a type was ever written with, once. `$meta` of a type asks of each whether a
 * resource still has it, and need not read the resources. `entry` is what such a resource has among its `tokens`, `value` the label as JSON.
 */
export class ResourceLabels1763700000023 implements MigrationInterface {
  name = 'ResourceLabels1763700000023';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE resource_label (
        type text COLLATE "C" NOT NULL,
        entry text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        value text NOT NULL,
        PRIMARY KEY (type, entry)
      )
    `);
    // What is there already: the coding is in the entry, `…_tag@system|code`.
    await runner.query(`
      INSERT INTO resource_label (type, entry, kind, value)
      SELECT DISTINCT type, entry, kind, CASE kind WHEN 'profile' THEN to_json(tail)::text
          ELSE json_strip_nulls(json_build_object('system', nullif(left(tail, -strpos(reverse(tail), '|')), ''),
            'code', right(tail, strpos(reverse(tail), '|') - 1)))::text END
      FROM resource, unnest(tokens) entry,
        substring(entry from '^[A-Za-z]+\\._(profile|tag|security)[@>]') kind, substring(entry from '^[^@>]+[@>](.*)$') tail
      WHERE kind IS NOT NULL
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE resource_label');
  }
}
