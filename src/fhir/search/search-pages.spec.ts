import { describe, expect, it } from 'vitest';
import { finding, made, onlyOf, patient, searchRecords } from '../../../test/search-records.ts';
import { BASE } from '../../../test/stored-resources.ts';
import type { AccessContext } from '../access-context.ts';
import { buildPage, TOTAL_MAX } from './build-search.ts';
import { type EntryStatistics, readStatistics } from './entry-statistics.ts';
import { parseQuery } from './parse-query.ts';
import { INCLUDED_MAX } from './run-include.ts';

const records = searchRecords();
const { search, many, forget } = records;

describe('_sort and pages', () => {
  const order = async (query: string) =>
    (await search('Observation', query)).matches.map(({ id }) => id).join(' ');

  it.each([
    ['_sort=code', 'of-berta of-anna plain'],
    ['_sort=-code', 'of-anna of-berta plain'],
    ['_sort=value-quantity', 'of-anna of-berta plain'],
    ['_sort=-value-quantity', 'of-berta of-anna plain'],
    ['_sort=date', 'of-berta of-anna plain'],
    ['_sort=-date', 'of-anna of-berta plain'],
    ['_sort=patient', 'of-anna of-berta plain'],
    ['_sort=status,-date', 'of-anna plain of-berta'],
    ['_sort=-status,_id', 'of-berta of-anna plain'],
    ['_sort=-_id', 'plain of-berta of-anna'],
  ])('%s gives %s: missing values last', async (query, expected) => {
    expect(await order(query)).toBe(expected);
    expect(await order(`${query}&subject:missing=false`)).toBe(expected);
    const paged: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await search('Observation', `${query}&_count=1${cursor && `&_cursor=${cursor}`}`);
      paged.push(...page.matches.map(({ id }) => id));
      cursor = page.next;
    }
    expect(paged.join(' ')).toBe(expected);
  });

  it.each(['', '_sort=-date&', '_sort=code,-date&', '_sort=birthdate&'])(
    'pages stay complete and without repeats while others come and go (%s)',
    async (sort) => {
      const type = sort.includes('birthdate') ? 'Patient' : 'Observation';
      await many(30);
      const before = (await search(type, '_count=100')).matches.map(({ id }) => id);
      const seen: string[] = [];
      let cursor = '';
      for (;;) {
        const found = await search(type, `${sort}_count=4${cursor}`);
        seen.push(...found.matches.map(({ id }) => id));
        if (!found.next) break;
        cursor = `&_cursor=${found.next}`;
        const last = found.matches.at(-1)?.id ?? '';
        await records.database.transaction(async (tx) => {
          await records.store.write(tx, [
            { kind: 'create', resource: type === 'Patient' ? patient(fresh++) : finding(fresh++) },
            // Even the row that the cursor was made of may go.
            ...(last.startsWith('many') ? [{ kind: 'delete' as const, type, id: last }] : []),
          ]);
        });
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(before.filter((id) => !seen.includes(id))).toEqual([]);
      await forget();
    },
  );

  it('orders in the same way when PostgreSQL decides, when the rows are walked and when they are collected', async () => {
    await many(60);
    await records.database.run({ text: 'ANALYZE resource' });
    const known = await readStatistics(records.database);
    expect(known?.rowsOf('Observation')).toBeGreaterThan(60);
    const common = { rowsOf: () => 1_000_000, rowsWith: () => 900_000 };
    const rare = { rowsOf: () => 1_000_000, rowsWith: () => null };
    for (const query of [
      'status=final&_sort=-date',
      'status=final&_sort=date,-code',
      'status=final',
      'status=final&_sort=-_lastUpdated',
      'code=many&_sort=value-quantity',
    ]) {
      const rows = async (statistics: EntryStatistics | null) => {
        const built = buildPage(
          parseQuery('Observation', `${query}&_count=9`),
          { allows: () => true, condition: () => null },
          BASE,
          { statistics },
        );
        return (await records.database.run<{ id: string }>({ text: built.text }, built.values)).map(
          ({ id }) => id,
        );
      };
      const open = await rows(null);
      expect(open).toHaveLength(10);
      expect(await rows(common)).toEqual(open);
      expect(await rows(rare)).toEqual(open);
    }
    await forget();
  });

  it('gives a resource with several values one place, and one with the same value twice too', async () => {
    const twice = made('Patient', 'many-twice', {
      name: [{ family: 'Aa', given: ['aa', 'Zz'] }, { family: 'aa' }],
    });
    await records.write({ kind: 'create', resource: twice });
    for (const sort of ['name', '-name', 'name,_id']) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page = await search('Patient', `_sort=${sort}&_count=1${cursor && `&_cursor=${cursor}`}`);
        seen.push(...page.matches.map(({ id }) => id));
        cursor = page.next;
      }
      expect(seen).toEqual(
        sort.startsWith('-') ? ['many-twice', 'berta', 'anna'] : ['many-twice', 'anna', 'berta'],
      );
    }
    await records.write({ kind: 'delete', type: 'Patient', id: 'many-twice' });
  });

  it.each([
    ['_sort=date', ['date', 'Observation', 'x', "2024-01-01'; DROP TABLE resource--"]],
    ['_sort=date', ['date', 'Observation', 'x', '2023-02-30T00:00:00.000000Z']],
    ['_sort=value-quantity', ['value-quantity', 'Observation', 'x', '1e9999999']],
    ['_sort=date', ['-date', 'Observation', 'x', 'infinity']],
    ['', ['', 'Observation', "x' or 1=1--"]],
    ['', ['', 'Observation', 'x', 'more']],
    ['', ['', {}, 'x']],
    ['', 'text'],
  ])('refuses a cursor that was changed by hand or belongs to another order: %s %j', async (sort, values) => {
    const cursor = Buffer.from(JSON.stringify(values)).toString('base64url');
    const asked = (async () => search('Observation', `${sort}&_cursor=${cursor}`))();
    await expect(asked).rejects.toMatchObject({ code: 'fhir.invalid' });
  });
});

describe('limits that an answer can meet', () => {
  it('counts and includes up to a limit, and says when there is more', async () => {
    await records.database.run({
      text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
        SELECT 'Flag', 'crowd' || i, 1, now(), false, 'POST', '{}', ARRAY['Flag.subject>Patient/anna']
        FROM generate_series(1, ${TOTAL_MAX + 1}) i`,
    });
    const accurate = await search('Flag', '_count=1&_total=accurate');
    expect(accurate).toMatchObject({ total: null, notes: [expect.stringContaining(String(TOTAL_MAX))] });
    expect((await search('Flag', '_summary=count')).notes).toHaveLength(1);
    const estimated = await search('Flag', '_count=1&_total=estimate');
    expect(estimated.total).toBeGreaterThan(TOTAL_MAX);
    expect(estimated.notes).toEqual([]);
    const including = await search('Patient', '_id=anna&_revinclude=Flag:subject');
    expect(including.included).toHaveLength(INCLUDED_MAX);
    expect(including.notes).toHaveLength(1);
    expect((await search('Flag', 'subject=Patient/anna&_count=999999')).matches).toHaveLength(1_000);
    await records.database.run({ text: "DELETE FROM resource WHERE type = 'Flag'" });
  });

  it('does not walk past what the caller may not see, where an index knows what may be seen', () => {
    const text = (access: AccessContext) =>
      buildPage(parseQuery('Observation', '_count=5'), access, BASE).text;
    expect(text({ allows: () => true, condition: () => null })).toContain('IS TRUE');
    expect(text(onlyOf('anna'))).not.toContain('IS TRUE');
  });
});

/** Ids of resources made while others page. */
let fresh = 900;
