import type { Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { storedResources } from '../../../../test/stored-resources.ts';

const UCUM = 'http://unitsofmeasure.org';

const observation = (id: string, more: object): Resource =>
  ({ resourceType: 'Observation', id, status: 'final', code: { text: 'x' }, ...more }) as Resource;

const measured = (id: string, value: object): Resource => observation(id, { valueQuantity: value });
const ucum = (value: number, code: string, more = {}): object => ({ value, system: UCUM, code, ...more });

const FIXTURES: Resource[] = [
  // Dates, each with another shape.
  observation('year', { effectiveDateTime: '2024' }),
  observation('month', { effectiveDateTime: '2024-03' }),
  observation('day', { effectiveDateTime: '2024-03-15' }),
  observation('minute', { effectiveDateTime: '2024-03-15T10:30:00Z' }),
  observation('east', { effectiveDateTime: '2024-03-16T01:30:00+09:00' }),
  observation('period', { effectivePeriod: { start: '2024-02-01', end: '2024-04-30' } }),
  observation('open', { effectivePeriod: { start: '2024-03-20' } }),
  observation('until', { effectivePeriod: { end: '2023-12-31' } }),
  observation('events', {
    effectiveTiming: { event: ['2024-06-02', '2024-06-01T08:00:00Z', '2024-06-20'] },
  }),
  observation('bounds', {
    effectiveTiming: { repeat: { boundsPeriod: { start: '2024-07-01', end: '2024-07-10' } } },
  }),
  // Quantities.
  measured('g1', ucum(1, 'g', { unit: 'gram' })),
  measured('mg1000', ucum(1000, 'mg')),
  measured('mg999', ucum(999, 'mg')),
  measured('kg', ucum(0.002, 'kg')),
  measured('cel', ucum(37, 'Cel')),
  measured('degf', ucum(98.6, '[degF]')),
  measured('iu', ucum(5, '[iU]/L')),
  measured('score', ucum(5, '{score}')),
  measured('stars', ucum(5, '{stars}')),
  measured('words', { value: 5, unit: 'spoons' }),
  measured('less', ucum(3, 'g', { comparator: '<' })),
  // Nothing to compare, but not missing.
  measured('unit', { unit: 'mg' }),
  observation('bare', {}),
  observation('s1', {
    valueSampledData: {
      origin: ucum(0, 'mV'),
      period: 1,
      dimensions: 1,
      lowerLimit: -2,
      upperLimit: 4,
      data: '1',
    },
  }),
  // Numbers.
  ...[0.1, 0.15, 0.2, 0.25].map(
    (value) =>
      ({
        resourceType: 'RiskAssessment',
        id: `p${value * 100}`,
        status: 'final',
        subject: { reference: 'Patient/1' },
        prediction: [{ probabilityDecimal: value }],
      }) as Resource,
  ),
  {
    resourceType: 'RiskAssessment',
    id: 'range',
    status: 'final',
    subject: { reference: 'Patient/1' },
    prediction: [{ probabilityRange: { low: { value: 0.1 }, high: { value: 0.3 } } }],
  } as Resource,
];

const stored = storedResources(FIXTURES);
const { ids } = stored;

describe('dates', () => {
  it.each([
    // R4 search.html#prefix: equal means that the asked range holds the whole of the resource's.
    ['eq2024-03-15', 'day east minute'],
    ['2024-03-15', 'day east minute'],
    ['eq2024-03', 'day east minute month'],
    ['eq2024', 'bounds day east events minute month period year'],
    ['eq2024-03-15T10:30', 'minute'],
    ['eq2024-03-15T10:30:00Z', 'minute'],
    ['eq2024-03-15T11:30:00+01:00', 'minute'],
    ['eq2024-03-16T01:30:00+09:00', 'east'],
    ['eq2024-06', 'events'],
    ['eq2024-07', 'bounds'],
    ['ne2024', 'open until'],
    ['ne2024-03-15', 'bounds events month open period until year'],
    // Greater: some part of the resource's range lies after the asked one.
    ['gt2024-03-15', 'bounds events month open period year'],
    ['gt2024-12-31', 'open'],
    ['ge2024-03-15', 'bounds day east events minute month open period year'],
    // The year ends with the asked month: nothing of it lies above, and the month does not hold it.
    ['ge2024-12', 'open'],
    ['ge2024-11', 'open year'],
    ['lt2024-03-15', 'month period until year'],
    ['lt2024', 'until'],
    ['le2024-03-15', 'day east minute month period until year'],
    ['le2023', 'until'],
    // Starts after, ends before: no part overlaps.
    ['sa2024-03-15', 'bounds events open'],
    ['sa2024-03', 'bounds events'],
    ['eb2024-03-15', 'until'],
    ['eb2024-06-01', 'day east minute month period until'],
  ])('Observation?date=%s finds: %s', async (asked, expected) => {
    expect(await ids('Observation', `date=${encodeURIComponent(asked)}`)).toBe(expected);
  });

  it('about is a tenth of the distance from now, and a day at least', async () => {
    const daysFromNow = (days: number): string =>
      new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    const near = observation('near', { effectiveDateTime: daysFromNow(1000) });
    await stored.database.transaction((tx) => stored.store.write(tx, [{ kind: 'create', resource: near }]));
    expect(await ids('Observation', `date=ap${daysFromNow(1050)}&date=sa2025`)).toBe('near');
    expect(await ids('Observation', `date=ap${daysFromNow(1150)}&date=sa2025`)).toBe('');
    await stored.database.transaction((tx) =>
      stored.store.write(tx, [{ kind: 'delete', type: 'Observation', id: 'near' }]),
    );
  });

  it('a date without a zone is one in UTC', async () => {
    expect(await ids('Observation', 'date=2024-03-15T16:30:00')).toBe('east');
  });

  it('several values are joined by or, several parameters by and', async () => {
    expect(await ids('Observation', 'date=2024-06,2024-07')).toBe('bounds events');
    expect(await ids('Observation', 'date=ge2024-06&date=le2024-06-30')).toBe('events open year');
  });

  it('missing or not', async () => {
    expect(await ids('Observation', 'date:missing=false&_count=1000')).toBe(
      'bounds day east events minute month open period until year',
    );
    expect(await ids('Observation', 'date:missing=true&value-quantity:missing=true')).toBe('bare');
    expect(await ids('Observation', 'date:missing=true&value-quantity:missing=false&_id=unit,bare,g1')).toBe(
      'g1 unit',
    );
  });

  it.each(['2024-13', '2024-02-30', 'x', 'gt', '2024-3-1', '2024-03-15T25:00', '20240315'])(
    'date=%s is refused',
    async (asked) => {
      await expect(stored.store.search('Observation', `date=${asked}`)).rejects.toMatchObject({
        code: 'fhir.invalid',
      });
    },
  );

  it('the end of time is no error', async () => {
    expect(await ids('Observation', 'date=9999-12-31T23:59:59.999999999Z')).toBe('');
  });
});

describe('quantities', () => {
  it.each([
    // By value alone, as it was sent: 5 of whatever.
    ['5', 'iu score stars words'],
    ['1', 'g1'],
    ['lt1', 'kg less s1'],
    ['ge1000', 'mg1000'],
    // UCUM: the same amount in another unit.
    [`1|${UCUM}|g`, 'g1 mg1000 mg999'],
    [`1.0|${UCUM}|g`, 'g1 mg1000 mg999'],
    [`1.000|${UCUM}|g`, 'g1 mg1000'],
    [`1000|${UCUM}|mg`, 'g1 mg1000'],
    [`999|${UCUM}|mg`, 'mg999'],
    [`0.001|${UCUM}|kg`, 'g1 mg1000 mg999'],
    [`2|${UCUM}|g`, 'kg'],
    // Less than 3 g may be more than 1 g.
    [`gt1|${UCUM}|g`, 'kg less'],
    [`gt3|${UCUM}|g`, ''],
    [`le999|${UCUM}|mg`, 'less mg999'],
    [`ge1000|${UCUM}|mg`, 'g1 kg less mg1000'],
    [`ne1000|${UCUM}|mg`, 'kg less mg999'],
    [`ap1|${UCUM}|g`, 'g1 less mg1000 mg999'],
    [`sa1|${UCUM}|g`, 'kg'],
    [`eb1|${UCUM}|g`, 'mg999'],
    // A scale that does not begin at zero.
    [`37.0|${UCUM}|Cel`, 'cel degf'],
    [`98.6|${UCUM}|[degF]`, 'cel degf'],
    [`gt310|${UCUM}|K`, 'cel degf'],
    // Units that cannot be converted are found as they are spelled, and by nothing else.
    [`5|${UCUM}|[iU]/L`, 'iu'],
    [`5|${UCUM}|{score}`, 'score'],
    [`5|${UCUM}|nonsense`, ''],
    ['5||spoons', 'words'],
    ['1||gram', 'g1'],
    ['1||g', 'g1 mg1000 mg999'],
    ['5|urn:other|spoons', ''],
    [`5|${UCUM}|`, 'iu score stars'],
    // SampledData lies between its limits.
    [`3|${UCUM}|mV`, ''],
    [`gt3|${UCUM}|mV`, 's1'],
  ])('Observation?value-quantity=%s finds: %s', async (asked, expected) => {
    expect(await ids('Observation', `value-quantity=${encodeURIComponent(asked)}`)).toBe(expected);
  });

  it.each(['x', '1e999', '--1', '1|2|3|4|5x', `1'`, 'NaN', 'Infinity'])(
    'value-quantity=%s is refused or finds nothing',
    async (asked) => {
      const answer = stored.store.search('Observation', `value-quantity=${encodeURIComponent(asked)}`);
      await expect(answer.then(({ matches }) => matches.length))
        .resolves.toBe(0)
        .catch(() => expect(answer).rejects.toMatchObject({ code: 'fhir.invalid' }));
    },
  );

  it('missing or not', async () => {
    expect(await ids('Observation', 'value-quantity:missing=false&value-quantity=5')).toBe(
      'iu score stars words',
    );
    expect(await ids('Observation', 'value-quantity:missing=true&date=2024-06')).toBe('events');
  });
});

describe('numbers', () => {
  it.each([
    ['0.1', 'p10'],
    ['0.10', 'p10'],
    ['0.2', 'p15 p20'],
    ['0.20', 'p20'],
    ['2e-1', 'p15 p20'],
    ['ne0.2', 'p10 p25 range'],
    ['gt0.2', 'p25 range'],
    ['ge0.2', 'p20 p25 range'],
    ['lt0.15', 'p10 range'],
    ['le0.15', 'p10 p15 range'],
    ['sa0.2', 'p25'],
    ['eb0.2', 'p10 p15'],
    ['ap0.22', 'p20 range'],
    ['-1', ''],
  ])('RiskAssessment?probability=%s finds: %s', async (asked, expected) => {
    expect(await ids('RiskAssessment', `probability=${asked}`)).toBe(expected);
  });
});
