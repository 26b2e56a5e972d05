import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import { type AccessRule, dearPart, ruleToSql } from '../access-rule.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { buildPage } from './build-search.ts';
import { printCursor } from './page-cursor.ts';
import { parseQuery } from './parse-query.ts';
import { cursorKey, sortKey } from './sort-key.ts';

const BASE = 'http://127.0.0.1:8080/fhir';
/** So rare that all rows of a code are collected. */
const RARE = { rowsOf: () => 1_000_000, rowsWith: () => null };
const ROWS = 60;

const consented: AccessRule = { kind: 'consented', heads: ['Observation.subject'], self: false };
const unlabelled: AccessRule = { kind: 'not', rule: { kind: 'entries', any: ['Observation._security#R'] } };
const rule: AccessRule = { kind: 'and', of: [unlabelled, consented] };
const contextOf = (own: AccessRule): AccessContext => ({
  allows: () => true,
  condition: (_type, _interaction, alias, parameters) => ruleToSql(own, alias, parameters),
  extent: () => ({ size: 'most', sets: [] }),
});
const parts = dearPart(rule) as NonNullable<ReturnType<typeof dearPart>>;
const AT_ONCE = contextOf(rule);
const IN_TWO: AccessContext = {
  ...AT_ONCE,
  late: { before: contextOf(parts.rest), condition: contextOf(parts.dear).condition },
};

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  await loadDefinitions();
  ({ database, close } = await freshDatabase());
  // The first forty are of somebody who has opted out, then every other one; every seventh has a label.
  await database.run({
    text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
      SELECT 'Observation', 'o' || lpad(n::text, 2, '0'), 1, now() - n * interval '1 minute', n = 50, 'PUT', '{}',
        ARRAY['Observation.code#c', 'Observation.subject>Patient/' || CASE WHEN n < 40 OR n % 2 = 0 THEN 'closed' ELSE 'open' END]
          || CASE WHEN n % 7 = 0 THEN ARRAY['Observation._security#R'] ELSE ARRAY[]::text[] END
      FROM generate_series(0, ${ROWS - 1}) n`,
  });
});
afterAll(() => close());

const built = (access: AccessContext, query: string) =>
  buildPage(parseQuery('Observation', query), access, BASE, { statistics: RARE });
async function pageOf(access: AccessContext, query: string) {
  const { text, values, whole } = built(access, query);
  const rows = await database.run<Found>({ text }, values);
  if (!whole || rows.length >= whole.of || rows[0]?.['cut'] === false) return rows;
  const { text: all, values: its } = whole.built();
  return database.run<Found>({ text: all }, its);
}

type Found = { id: string; [column: string]: unknown };

/** All pages one after the other, as a client follows them. */
async function allPages(access: AccessContext, query: string): Promise<string[]> {
  const { count, sort } = parseQuery('Observation', query);
  const ids: string[] = [];
  for (let cursor = ''; ; ) {
    const rows = await pageOf(access, `${query}${cursor}`);
    ids.push(...rows.slice(0, count).map(({ id }) => id));
    const last = rows[count - 1];
    if (rows.length <= count || !last) return ids;
    const keys = sort.map((rule, at) =>
      cursorKey((last[`c${at}`] as string | null) ?? null, sortKey(rule, 'Observation').cast),
    );
    const position = { type: 'Observation', id: last.id, keys };
    cursor = `&_cursor=${encodeURIComponent(printCursor(sort, position))}`;
  }
}

const open = (n: number) => n >= 40 && n % 2 === 1 && n % 7 !== 0;
const expected = Array.from({ length: ROWS }, (_, n) => n)
  .filter(open)
  .map((n) => `o${n}`);

describe('a dear condition that is asked of the first rows only', () => {
  it('is asked so where a search collects rows that may be many, and nowhere else', () => {
    const isInTwo = (query: string, access = IN_TWO) => built(access, query).text.includes('first_rows');
    expect(isInTwo('code=c&_count=5')).toBe(true);
    expect(isInTwo('code=c&_count=5&_sort=-_lastUpdated')).toBe(true);
    expect(isInTwo('code=c', AT_ONCE)).toBe(false);
    expect(isInTwo('code=c&subject=Patient/open')).toBe(false);
    expect(isInTwo('code=c&subject:Patient.name=x')).toBe(false);
    expect(isInTwo('code=c&_has:DiagnosticReport:result:status=final')).toBe(false);
    expect(isInTwo('_sort=-date')).toBe(false);
  });

  it.each([
    '_count=1',
    '_count=3',
    '_count=9',
    '_count=30',
    '_count=100',
    '_count=4&_sort=-_lastUpdated',
    '_count=4&_sort=_lastUpdated',
  ])('finds the same pages: %s', async (how) => {
    const query = `code=c&${how}`;
    const everybody = await allPages(IN_TWO, query);
    // Nobody has opted out yet.
    expect(everybody).toEqual(await allPages(AT_ONCE, query));
    expect(everybody.length).toBeGreaterThan(40);
    await database.run({ text: `INSERT INTO access_opt_out (consent, patient) VALUES ('c', 'closed')` });
    try {
      const seen = await allPages(IN_TWO, query);
      expect(seen).toEqual(await allPages(AT_ONCE, query));
      expect(seen.toSorted()).toEqual(expected);
    } finally {
      await database.run({ text: 'DELETE FROM access_opt_out' });
    }
  });
});
