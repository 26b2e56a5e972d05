import type { Observation } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { loadDefinitions } from './definitions/definitions.ts';
import { CRITERIA_PER_STATEMENT_MAX, compileCriteria, entriesOf, matchCriteria } from './match-criteria.ts';
import { ResourceStore } from './resource-store.ts';

const BASE = 'http://127.0.0.1:8080/fhir';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
const observations: (Observation & { id: string })[] = [
  {
    resourceType: 'Observation',
    id: 'o1',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
    subject: { reference: 'Patient/p1' },
    effectiveDateTime: '2026-01-01',
    valueQuantity: { value: 80, system: 'http://unitsofmeasure.org', code: '/min' },
  },
  {
    resourceType: 'Observation',
    id: 'o2',
    status: 'preliminary',
    code: { text: 'no coding' },
    subject: { reference: 'Group/p1' },
    category: [{ coding: [{ system: 'http://x.example', code: 'imaging' }] }],
  },
];
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  await database.transaction((tx) =>
    store.write(
      tx,
      observations.map((resource) => ({ kind: 'update', resource }) as const),
    ),
  );
});
afterAll(() => close());

const CRITERIA = [
  '',
  'status=final',
  'status=final,preliminary',
  'status:not=final',
  'code=8867-4',
  'code=http://loinc.org|8867-4',
  'code=|8867-4',
  'code=http://loinc.org|',
  'code:not=8867-4',
  'code:missing=true',
  'patient=Patient/p1',
  'patient=p1',
  'subject=Group/p1',
  `subject=${BASE}/Patient/p1`,
  'combo-code=8867-4',
  'status=final&date=ge2026-01-01',
  'status=final&value-quantity=gt100',
  'value-quantity=80',
  'date=lt2000',
  '_id=o2',
  'status=preliminary&_id=o1',
  'subject:Patient.name=nobody',
  'category=http://x.example|imaging&status:not=final',
];

describe('the look at the entries', () => {
  it.each(CRITERIA)('never disagrees with the SQL: "%s"', async (query) => {
    const criteria = compileCriteria('Observation', query, BASE);
    const ids = observations.map(({ id }) => id);
    const [found] = await matchCriteria(database, [{ criteria, ids }], BASE);
    for (const observation of observations) {
      const entries = entriesOf(observation, BASE);
      const answer = criteria.decide(entries);
      const bySql = found?.has(observation.id);
      expect([bySql, null]).toContain(answer);
      if (criteria.decidable) expect(answer).toBe(bySql);
      const has = criteria.needs.every((entry) => entry.some((one) => entries.has(one)));
      if (bySql) expect(has).toBe(true);
      expect(bySql).toBe(await store.matches(database, 'Observation', observation.id, query));
    }
  });

  // When a kind comes to ask otherwise, every such Subscription would silently cost a statement at each write.
  it.each([
    'status=final',
    'code=http://loinc.org|8867-4',
    'patient=p1',
    'combo-code=x',
    'identifier=a|b',
    '_tag=x',
    '_profile=http://x.example/p',
  ])('is there for %s: what it needs is known and the entries decide', (query) => {
    const criteria = compileCriteria('Observation', query, BASE);
    expect([criteria.needs.length, criteria.decidable]).toEqual([1, true]);
  });

  it.each(['date=2020', 'status=final&date=2020', '_lastUpdated=gt2020', 'code:missing=true'])(
    'leaves %s open',
    (query) => {
      expect(compileCriteria('Observation', query, BASE).decidable).toBe(false);
    },
  );
});

describe('many criteria', () => {
  it('are answered in their order, over more statements than one', async () => {
    const asked = Array.from({ length: CRITERIA_PER_STATEMENT_MAX * 2 + 1 }, (_, n) => ({
      criteria: compileCriteria('Observation', n % 2 === 0 ? 'status=final' : 'status=preliminary', BASE),
      ids: ['o1', 'o2'],
    }));
    const found = await matchCriteria(database, asked, BASE);
    expect(found.map((ids) => [...ids])).toEqual(asked.map((_, n) => [n % 2 === 0 ? 'o1' : 'o2']));
  });

  it.each([
    ['Nonsense', 'a=b'],
    ['Observation', 'nothing=1'],
    ['Observation', 'date=yesterday'],
  ])('%s?%s is refused', (type, query) => {
    expect(() => compileCriteria(type, query, BASE)).toThrow(
      expect.objectContaining({ code: 'fhir.invalid' }),
    );
  });
});
