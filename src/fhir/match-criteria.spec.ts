import type { Group, Observation } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { BASE, storedResources } from '../../test/stored-resources.ts';
import { CRITERIA_PER_STATEMENT_MAX, compileCriteria, entriesOf, matchCriteria } from './match-criteria.ts';
import { touches } from './search/reach.ts';
import { searchParametersOf } from './search/search-parameters.ts';
import { indexSpans } from './span-index.ts';

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

const world = storedResources(observations);

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
    const [found] = await matchCriteria(world.database, [{ criteria, ids }], BASE);
    for (const observation of observations) {
      const entries = entriesOf(observation, BASE);
      const answer = criteria.decide(entries);
      const bySql = found?.has(observation.id);
      expect([bySql, null]).toContain(answer);
      if (criteria.decidable) expect(answer).toBe(bySql);
      const has = criteria.needs.every(
        (need) =>
          need.entries.some((one) => entries.tokens.has(one)) ||
          need.spans.some((span) => entries.spans.get(span.key)?.some((row) => touches(row, span))),
      );
      if (bySql) expect(has).toBe(true);
      expect(bySql).toBe(await world.store.matches(world.database, 'Observation', observation.id, query));
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

  it.each(['date=2020', 'status=final&date=2020', '_lastUpdated=gt2020', 'code:text=x'])(
    'leaves %s open',
    (query) => {
      expect(compileCriteria('Observation', query, BASE).decidable).toBe(false);
    },
  );
});

describe('the look at numbers, quantities, dates and texts', () => {
  const PREFIXES = ['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'];
  const UCUM = 'http://unitsofmeasure.org';
  const observation = (n: number, more: object): Observation & { id: string } =>
    ({
      ...{ resourceType: 'Observation', id: `v${n}`, status: 'final' },
      code: { coding: [{ system: 'http://loinc.org', code: `c${n % 2}` }] },
      ...more,
    }) as Observation & { id: string };
  const values = [
    { valueQuantity: { value: 5 } },
    { valueQuantity: { value: 5.000000000000001, unit: 'mg', system: UCUM, code: 'mg' } },
    { valueQuantity: { value: 0.005, unit: 'gram', system: UCUM, code: 'g' } },
    { valueQuantity: { value: 5, comparator: '>', system: UCUM, code: 'mg' } },
    { valueQuantity: { value: 5, comparator: '<=', unit: 'points', code: '{score}' } },
    { valueQuantity: { value: -5, unit: 'mg' } },
    { valueSampledData: { origin: { value: 0 }, period: 1, dimensions: 1, lowerLimit: 4, upperLimit: 6 } },
    { valueDateTime: '2024-05' },
    { valuePeriod: { start: '2024-05-05T10:00:00+02:00' } },
    { valuePeriod: { end: '2024-05-05' } },
    { effectiveDateTime: '2024-05-05T10:00:00.123Z' },
    { effectivePeriod: { start: '2020', end: '2025' } },
    { valueString: 'Ängström' },
    { valueString: 'ann' },
    { valueString: 'ann\uffff x' },
    { valueString: '\ufffd ann \u{1f600}' },
    { component: [{ code: { coding: [{ code: 'c1' }] }, valueQuantity: { value: 5, unit: 'mg' } }] },
    { component: [{ code: { coding: [{ code: 'c0' }] }, valueString: 'ann' }] },
    {
      code: {
        text: 'Heart  rate',
        coding: [{ system: 'http://x.example', code: 'c', display: 'Herzfrequenz' }],
      },
    },
    {
      code: { text: 'Ångström Øre groß' },
      category: [{ text: 'Imaging' }],
      component: [{ code: { text: 'herz' } }],
    },
    {
      code: { text: 'ØRE' },
      issued: '2024-05-05T10:00:00Z',
      identifier: [
        { value: '1', type: { coding: [{ system: 'http://t.example', code: 'MR' }], text: 'Щука' } },
      ],
    },
    { code: { coding: [{ display: 'щука' }, { display: 'ﬁne' }] }, subject: { reference: 'Patient/nobody' } },
    { subject: { reference: 'Group/g' }, note: [{ text: 'x' }], dataAbsentReason: { text: 'x' } },
  ].map((more, n) => observation(n, more));
  const numbers = ['5', '5.00', '0.005', '-5', '4.999999999999999', '5e0'];
  const queries = (MISSING: readonly string[]) => [
    ...PREFIXES.flatMap((prefix) => [
      ...numbers.map((number) => `value-quantity=${prefix}${number}`),
      ...['||mg', `|${UCUM}|mg`, '||gram', `|${UCUM}|g`, '||{score}'].map(
        (unit) => `value-quantity=${prefix}5${unit}`,
      ),
      ...[
        '2024',
        '2024-05',
        '2024-05-05',
        '2024-05-05T08:00:00Z',
        '2024-05-05T10:00:00.123Z',
        '2025',
      ].flatMap((date) => [`date=${prefix}${date}`, `value-date=${prefix}${date}`]),
      `code-value-quantity=c1$${prefix}5`,
      `component-code-value-quantity=c1$${prefix}5`,
      `combo-code-value-quantity=c1$${prefix}5||mg`,
    ]),
    ...['a', 'ang', 'ann', 'ANN', 'ann\uffff', '\ufffd', 'b', '\u{1f600}'].flatMap((text) => [
      `value-string=${encodeURIComponent(text)}`,
      `value-string:exact=${encodeURIComponent(text)}`,
    ]),
    'value-string:contains=ann',
    'component-value-quantity=5,gt100',
    'value-quantity=gt100,lt-100',
    'combo-value-quantity=gt4&date=gt2019',
    '_id=v1,v3',
    'value-quantity:missing=false',
    ...PREFIXES.flatMap((prefix) => [
      ...['2024', '2030-05', '2026-01-01T10:00:00.123Z'].map((date) => `_lastUpdated=${prefix}${date}`),
      `date=${prefix}2026-11-20`,
    ]),
    ...MISSING.flatMap((code) => [`${code}:missing=true`, `${code}:missing=false`]),
    ...['Heart', 'HEART R', 'herz', 'Ängström', 'angstrom', 'x', 'ﬁne', 'ØRE', 'øre', 'gross', 'щ', 'Щ'].map(
      (text) => `code:text=${encodeURIComponent(text)}`,
    ),
    'combo-code:text=herz',
    'category:text=im',
    'identifier:text=nothing',
    'code=http://loinc.org|',
    'code=http://x.example|,http://loinc.org|c1',
    'code=http://loinc.o|',
    'identifier:of-type=http://t.example|MR|1',
    'identifier:of-type=http://t.example|MR|2',
    'subject:Patient.name=ann',
    'subject.name=ann',
    'patient.identifier=nobody',
  ];

  it(`says no only where the SQL does, for hundreds of criteria`, async () => {
    const stored = await world.write(...values.map((resource) => ({ kind: 'update', resource }) as const));
    const ids = values.map(({ id }) => id);
    const MISSING = [...searchParametersOf('Observation').keys()];
    const all = queries(MISSING).map((query) => ({
      criteria: compileCriteria('Observation', query, BASE),
      ids,
    }));
    const found = await matchCriteria(world.database, all, BASE);
    const wrong: string[] = [];
    let denied = 0;
    for (const [at, { criteria }] of all.entries()) {
      for (const resource of stored.map((one) => one.parse<Observation & { id: string }>())) {
        const entries = entriesOf(resource, BASE);
        const answer = criteria.decide(entries);
        const needed = criteria.needs.every(
          (need) =>
            need.entries.some((one) => entries.tokens.has(one)) ||
            need.spans.some((span) => entries.spans.get(span.key)?.some((row) => touches(row, span))),
        );
        const bySql = found[at]?.has(resource.id) ?? false;
        if (answer === false) denied += 1;
        if (bySql && (answer === false || !needed)) wrong.push(`${criteria.query} ${resource.id}`);
      }
    }
    expect(wrong).toEqual([]);
    // It is worth something: most of what SQL would deny is denied in memory.
    expect(denied / (all.length * values.length)).toBeGreaterThan(0.6);
  });

  it.each([
    'value-quantity=gt5',
    'date=ge2024',
    'value-string=x',
    '_id=a',
    'code-value-quantity=a$5',
    'component-value-quantity=5,gt9',
    '_lastUpdated=gt2024',
    'date=ap2024',
    'code:missing=true',
    'code:missing=false',
    'value-quantity:missing=true',
    'combo-code:missing=true',
    'code:text=x',
    'code=http://loinc.org|',
    'identifier:of-type=a|b|c',
    'subject:Patient.name=x',
    'patient.name=x',
    'subject.identifier=x',
  ])('is there for %s: it can be found among many', (query) => {
    expect(compileCriteria('Observation', query, BASE).needs).toHaveLength(1);
  });
});

describe('the look at other kinds', () => {
  const characteristic = (code: string, value: string, system?: string) => ({
    code: { coding: [{ code, ...(system ? { system } : {}) }] },
    valueCodeableConcept: { coding: [{ code: value }] },
    exclude: false,
  });
  const resources = [
    {
      ...{ resourceType: 'Group', id: 'g1', type: 'person', actual: true },
      characteristic: [characteristic('sex', 'f', 'http://x.example'), characteristic('age', 'old')],
    },
    {
      ...{ resourceType: 'Group', id: 'g2', type: 'person', actual: true },
      characteristic: [characteristic('sex', 'old')],
    },
    { resourceType: 'Location', id: 'l1', position: { latitude: -33.8, longitude: 151.2 } },
    { resourceType: 'Location', id: 'l2', position: { latitude: 51.5, longitude: -0.1 }, name: 'London' },
    { resourceType: 'Location', id: 'l3', name: 'Nowhere' },
    { resourceType: 'ValueSet', id: 'v1', status: 'active', url: 'http://x.example/sets/a' },
    { resourceType: 'ValueSet', id: 'v2', status: 'active', url: 'http://x.example/sets' },
    { resourceType: 'ValueSet', id: 'v3', status: 'active', url: 'http://x.example/setsb' },
  ] as unknown as (Group & { id: string })[];
  const queries: readonly (readonly [string, string])[] = [
    ...[
      'sex$f',
      'http://x.example|sex$f',
      'http://y.example|sex$f',
      'sex$old',
      'age$old',
      'sex$x,age$old',
    ].map((value) => ['Group', `characteristic-value=${value}`] as const),
    ['Group', 'characteristic-value:missing=true'],
    ['Group', 'characteristic-value:missing=false'],
    ...['-33.8|151.2', '-33.7|151.2|20', '-33.7|151.2|1', '51.5|0|10', '0|0|20000', '51.5|-0.1|1|m'].map(
      (value) => ['Location', `near=${value}`] as const,
    ),
    ['Location', 'near:missing=true'],
    ['Location', 'name:missing=false'],
    ['ValueSet', 'url:below=http://x.example/sets'],
    ['ValueSet', 'url:below=http://x.example/sets/'],
    ['ValueSet', 'url:above=http://x.example/sets/a/b'],
    ['ValueSet', 'context-type-value:missing=true'],
  ];

  it('says no only where the SQL does', async () => {
    const written = await world.write(
      ...resources.map((resource) => ({ kind: 'update', resource }) as const),
    );
    for (const [type, query] of queries) {
      const those = written.filter((one) => one.type === type);
      const criteria = compileCriteria(type, query, BASE);
      const [found] = await matchCriteria(
        world.database,
        [{ criteria, ids: those.map(({ id }) => id) }],
        BASE,
      );
      for (const stored of those) {
        const answer = criteria.decide(entriesOf(stored.parse(), BASE));
        const bySql = found?.has(stored.id) ?? false;
        expect([query, stored.id, answer ?? bySql]).toEqual([query, stored.id, bySql]);
      }
      if (!/-value:missing/.test(query)) expect(criteria.needs).toHaveLength(1);
    }
  });
});

describe('many spans', () => {
  it('are found as a look at each would find them', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    const spans = Array.from({ length: 300 }, (_, value) => {
      const from = random(50) === 0 ? Number.NEGATIVE_INFINITY : random(1_000);
      const to = random(3) === 0 ? Number.POSITIVE_INFINITY : from + random(100);
      return { span: { key: 'k', from, to }, value };
    });
    const index = indexSpans(spans);
    for (let n = 0; n < 200; n++) {
      const from = random(1_100) - 50;
      const asked = { key: 'k', from, to: from + random(30) };
      const found: number[] = [];
      index.touching(asked, (value) => found.push(value));
      const expected = spans.filter(({ span }) => touches(span, asked)).map(({ value }) => value);
      expect(found.sort((a, b) => a - b)).toEqual(expected);
    }
    indexSpans([]).touching({ key: 'k', from: 0, to: 1 }, () => expect.unreachable());
  });
});

describe('many criteria', () => {
  it('are answered in their order, over more statements than one', async () => {
    const asked = Array.from({ length: CRITERIA_PER_STATEMENT_MAX * 2 + 1 }, (_, n) => ({
      criteria: compileCriteria('Observation', n % 2 === 0 ? 'status=final' : 'status=preliminary', BASE),
      ids: ['o1', 'o2'],
    }));
    const found = await matchCriteria(world.database, asked, BASE);
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
