import type { Observation, Patient } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { countingRows } from '../../test/rows-read.ts';
import { storedResources } from '../../test/stored-resources.ts';
import { compileCriteria, entriesOf, matchCriteria } from './match-criteria.ts';
import { LinkedResources } from './match-links.ts';
import { REFERRERS_FOR_MANY_MAX, REFERRERS_MAX, referrersMax } from './search/find-referrers.ts';

const MANY = 5_000;
const COUNTS = { below: REFERRERS_MAX, above: REFERRERS_MAX + 1, many: MANY };
/** Rows that belong to nobody of these: what a plan would read that goes through a table. */
const OTHERS = 10_000;

const world = storedResources();
beforeAll(async () => {
  const first: Observation & { id: string } = {
    resourceType: 'Observation',
    id: 'first',
    status: 'final',
    code: { coding: [{ system: 'http://l.example', code: 'c0' }] },
    subject: { reference: 'Patient/nobody' },
    effectiveDateTime: '2026-01-01',
    valueQuantity: { value: 3, system: 'http://unitsofmeasure.org', code: 'mg' },
  };
  await world.write(
    ...['none', ...Object.keys(COUNTS)].map((id) => ({ kind: 'update' as const, resource: patient(id) })),
    { kind: 'update', resource: first },
  );
  for (const [id, count] of Object.entries(COUNTS)) await copies(id, count);
  await copies('other', OTHERS);
  await world.database.run({ text: 'ANALYZE' });
}, 60_000);

const patient = (id: string): Patient & { id: string } => ({ resourceType: 'Patient', id });

/** The first Observation so many times, with codes c1 to c100, of which nobody but `other` has the last ten. */
async function copies(of: string, count: number): Promise<void> {
  const codes = of === 'other' ? 100 : 90;
  const tokens = `array_replace(array_replace(tokens, 'Observation.code@http://l.example|c0', 'Observation.code@http://l.example|c' || 1 + g % ${codes}),
    'Observation.subject>Patient/nobody', 'Observation.subject>Patient/${of}' ${of === 'other' ? '|| g / 10' : ''})`;
  const content = `replace(replace(content, 'Patient/nobody', 'Patient/${of}'), '"c0"', '"c' || 1 + g % ${codes} || '"')`;
  await world.database.run({
    text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens, search_digest, main_date)
      SELECT type, '${of}-' || g, version, last_updated, deleted, method, ${content}, ${tokens}, search_digest, main_date
      FROM resource, generate_series(1, ${count}) g WHERE type = 'Observation' AND id = 'first'`,
  });
  for (const table of ['search_quantity', 'search_date']) {
    const columns = await world.database.run<{ name: string }>({
      text: `SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND attname <> 'id' AND NOT attisdropped`,
    });
    const names = columns.map(({ name }) => name).join(', ');
    await world.database.run({
      text: `INSERT INTO ${table} (id, ${names}) SELECT '${of}-' || g, ${names} FROM ${table}, generate_series(1, ${count}) g WHERE id = 'first'`,
    });
  }
}

describe('criteria by _has', () => {
  it.each([
    ['code=http://l.example|c7', true],
    ['code=http://l.example|c95', false],
    ['status=final', true],
    ['status=amended', false],
    ['date=gt2027', false],
    ['date=2026', true],
    ['value-quantity=3|http://unitsofmeasure.org|mg', true],
    ['value-quantity=gt5|http://unitsofmeasure.org|mg', false],
  ])('(%s) have one answer on both sides of the border, and no table is gone through', async (query, met) => {
    const criteria = compileCriteria('Patient', `_has:Observation:patient:${query}`, world.store.base);
    for (const id of ['none', ...Object.keys(COUNTS)]) {
      const wanted = id !== 'none' && met;
      const counting = countingRows(world.database);
      const [found] = await matchCriteria(counting, [{ criteria, ids: [id] }], world.store.base);
      expect(`${id} ${found?.has(id)}`).toBe(`${id} ${wanted}`);
      // The patient, and two looks at each resource that refers to it.
      expect(counting.rows).toBeLessThanOrEqual(2 * ((COUNTS as Record<string, number>)[id] ?? 0) + 50);
      const may = await world.database.transaction((tx) =>
        new LinkedResources(tx, world.store.base).mayMatch([
          { criteria, id, entries: entriesOf(patient(id), world.store.base) },
        ]),
      );
      // Beyond the border memory says nothing; below it is as sure as SQL, but for what shares its span.
      if (id === 'none') expect(may).toEqual([false]);
      else expect(may).toEqual([met || id !== 'below']);
    }
  });

  it('read more of what refers to the resource the more of them ask, up to a limit', () => {
    expect([1, 100, 10_000].map(referrersMax)).toEqual([REFERRERS_MAX, 100, REFERRERS_FOR_MANY_MAX]);
  });
});
