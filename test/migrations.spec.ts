import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../migrations/all.ts';

/** The last migration of the last release. None is out yet: all there are may still be changed. */
const RELEASED = 9_999;

const folder = resolve(import.meta.dirname, '../migrations');
const files = readdirSync(folder)
  .filter((name) => /^\d{4}-.*\.ts$/.test(name))
  .sort();

describe('migrations', () => {
  it('have numbers of their own and stand in all.ts in that order', () => {
    const numbers = files.map((name) => name.slice(0, 4));
    expect(new Set(numbers).size).toBe(numbers.length);
    const listed = MIGRATIONS.map((one) => /(\d{4})$/.exec(one.name)?.[1]);
    expect([...listed].sort()).toEqual(numbers);
    expect(listed).toEqual([...listed].sort());
  });

  it('after the last release only add, so that the version before works on', () => {
    const wrong = files
      .filter((name) => Number(name.slice(0, 4)) > RELEASED)
      .flatMap((name) =>
        faultsOf(readFileSync(join(folder, name), 'utf8')).map((fault) => `${name}: ${fault}`),
      );
    expect(wrong).toEqual([]);
  });

  it.each([
    ['ALTER TABLE resource DROP COLUMN tokens', 'takes away'],
    ['ALTER TABLE resource RENAME COLUMN tokens TO entries', 'takes away'],
    ['ALTER TABLE resource ALTER COLUMN version TYPE bigint', 'takes away'],
    ['ALTER TABLE resource ALTER COLUMN tokens SET NOT NULL', 'takes away'],
    ['ALTER TABLE resource ADD COLUMN x integer NOT NULL', 'NOT NULL without a default'],
    ['CREATE INDEX resource_x ON resource (x)', 'index without CONCURRENTLY on a table that exists'],
    ['UPDATE resource SET x = 1', 'fills a table'],
  ])('%s is found', (sql, fault) => {
    expect(faultsOf(`async up(runner) { await runner.query(\`${sql}\`); } async down() {}`)).toEqual([fault]);
  });

  it.each([
    'CREATE TABLE x (id int PRIMARY KEY); CREATE INDEX x_id ON x (id)',
    'ALTER TABLE resource ADD COLUMN x integer NOT NULL DEFAULT 0',
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS resource_x ON resource (x)',
  ])('%s is allowed', (sql) => {
    expect(
      faultsOf(`async up(runner) { await runner.query(\`${sql}\`); } async down() { DROP TABLE x }`),
    ).toEqual([]);
  });
});

/** What of a migration's `up` the version before could not live with. */
function faultsOf(text: string): string[] {
  const up = (text.split(/async down\(/)[0] ?? '').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const made = new Set([...up.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(\w+)/gi)].map((match) => match[1]));
  const faults: string[] = [];
  const takesAway = /DROP (TABLE|COLUMN)|RENAME|ALTER COLUMN \w+ (SET DATA )?TYPE|SET NOT NULL|TRUNCATE/i;
  if (takesAway.test(up) && !/not used since \d/.test(text)) faults.push('takes away');
  for (const [column] of up.matchAll(/ADD COLUMN [^,;`]*/gi))
    if (/NOT NULL/i.test(column) && !/DEFAULT/i.test(column)) faults.push('NOT NULL without a default');
  for (const [, concurrently, table] of up.matchAll(
    /CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?[^;`]*? ON (\w+)/gi,
  ))
    if (!concurrently && !made.has(table)) faults.push('index without CONCURRENTLY on a table that exists');
  for (const [, table] of up.matchAll(/UPDATE (\w+) SET/gi))
    if (!made.has(table)) faults.push('fills a table');
  return faults;
}
