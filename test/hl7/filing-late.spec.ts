import type { Encounter, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FilingWorld, makeFilingWorld, message } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has patients of its own. */
let run = 0;
beforeEach(() => {
  run += 1;
});

interface Told {
  /** MSH-7; of 2026-01-15 where it is a time of day. */
  readonly sent?: string;
  /** EVN-2, or ORC-9. */
  readonly event?: string;
  readonly sender?: string;
}
const stamp = (time: string | undefined) =>
  time === undefined ? '' : time.length < 8 ? `20260115${time}` : time;
const say = (type: string, lines: readonly string[], { sent, sender }: Told) =>
  message(type, lines, sender).replace('20260115101522', stamp(sent));

/** An ADT of patient `MRN<run>` and his visit: the fields of PID and PV1 by their number. */
type Fields = Readonly<Record<number, string>>;
const segment = (name: string, fields: Fields) => {
  const last = Math.max(...Object.keys(fields).map(Number));
  return [name, ...Array.from({ length: last }, (_, at) => fields[at + 1] ?? '')].join('|');
};
const pid = (fields: Fields = {}, mrn = `MRN${run}`) =>
  segment('PID', { 3: `${mrn}^^^HOSP^MR`, 5: 'DOE^JANE', ...fields });
const pv1 = (fields: Fields = {}) => segment('PV1', { 2: 'I', 3: 'W1', 19: `V${run}^^^HOSP`, ...fields });
const adt = (event: string, told: Told, person: Fields = {}, visit?: Fields) =>
  say(
    `ADT^${event}`,
    [
      ...(told.event === undefined ? [] : [`EVN|${event}|${stamp(told.event)}`]),
      pid(person),
      ...(visit ? [pv1(visit)] : []),
    ],
    told,
  );
const named = (family: string, told: Told) => adt('A08', told, { 5: `${family}^JANE` });

const order = (control: string, told: Told, fields: Fields = {}, obr?: Fields, ...more: readonly string[]) =>
  say(
    'ORM^O01',
    [
      pid(),
      segment('ORC', { 1: control, 2: `P${run}^OE`, 9: stamp(told.event), ...fields }),
      ...(obr ? [segment('OBR', { 2: `P${run}^OE`, 4: 'X^Chest^L', ...obr })] : []),
      ...more,
    ],
    told,
  );

const flags = async (...messages: readonly string[]) =>
  (await world.file(...messages)).map(({ filing_outcome, flags: all }) => [filing_outcome, ...all].join(' '));
const patient = async (mrn = `MRN${run}`) => (await world.find<Patient>('Patient', `identifier=${mrn}`))[0]!;
const family = async () => (await patient()).name?.map((one) => one.family).join();
const visit = async () => (await world.find<Encounter>('Encounter', `identifier=V${run}`))[0]!;
const request = async () => (await world.find<ServiceRequest>('ServiceRequest', `identifier=P${run}`))[0]!;

describe('An ADT that comes late', () => {
  it('does not overwrite what a newer one said, and is flagged', async () => {
    expect(
      await flags(
        named('NEW', { sent: '1005', event: '1005' }),
        named('OLD', { sent: '1000', event: '1000' }),
      ),
    ).toEqual(['filed', 'filed older-demographics']);
    expect(await family()).toBe('NEW');
    expect(await flags(named('NEXT', { sent: '1006', event: '1006' }))).toEqual(['filed']);
    expect(await family()).toBe('NEXT');
  });

  it('changes what no newer one has said, and is not flagged where it says the same', async () => {
    const newer = adt('A08', { sent: '1005' }, { 8: 'F' });
    const older = adt('A04', { sent: '1000' }, { 11: '1 Main St^^Bonn', 13: '555' });
    expect(await flags(newer, older)).toEqual(['filed', 'filed']);
    expect(await patient()).toMatchObject({
      gender: 'female',
      address: [{ city: 'Bonn' }],
      telecom: [{ value: '555' }],
    });
  });

  it('does not bring back what a newer one took back', async () => {
    const all = [
      adt('A08', { sent: '1000' }, { 13: '555', 29: '20260101' }),
      adt('A08', { sent: '1010' }, { 13: '""', 29: '""' }),
      adt('A08', { sent: '1005' }, { 13: '666', 29: '20260102' }),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed', 'filed older-demographics']);
    expect(await patient()).not.toHaveProperty('telecom');
    expect(await patient()).not.toHaveProperty('deceasedDateTime');
  });

  it('ends as in their order, in whatever order messages come', async () => {
    const all = [
      adt(
        'A04',
        { sent: '1000' },
        { 8: 'U', 13: '1', 14: '9', 26: 'DEU^Germany' },
        { 7: '1^A', 8: '2^B', 44: '20260110' },
      ),
      adt(
        'A08',
        { sent: '1001' },
        { 8: 'F', 13: '""', 29: '20260101' },
        { 3: 'W2', 7: '3^C', 13: 'R^Again' },
      ),
      adt('A08', { sent: '1002' }, { 5: 'ROE^J', 13: '2', 29: '""' }, { 3: 'W3', 8: '""', 13: '""' }),
      adt('A03', { sent: '1003' }, { 14: '8' }, { 36: '01^Home', 45: '20260114' }),
    ];
    const ends: unknown[] = [];
    const first = run;
    for (const places of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
      [1, 3, 0, 2],
      [0, 3, 2, 1],
    ]) {
      for (const at of places)
        await world.file(
          all[at]!.replaceAll(`MRN${first}^`, `MRN${run}^`).replaceAll(`V${first}^`, `V${run}^`),
        );
      const { id: _, meta: _m, identifier: _i, version: _v, ...person } = await patient();
      const { id: _a, meta: _b, identifier: _c, version: _d, subject: _s, ...stay } = await visit();
      ends.push({ person, stay });
      run += 1;
    }
    for (const end of ends) expect(end).toEqual(ends[0]);
    expect(ends[0]).toMatchObject({
      person: { gender: 'female', telecom: [{ value: '2' }, { value: '8' }], name: [{ family: 'DOE' }] },
      stay: {
        status: 'finished',
        location: [{ location: { display: 'W1' } }],
        participant: [{ individual: { display: 'C' } }],
      },
    });
  });

  it.each([
    ['equal times', { sent: '100500' }, { sent: '100500' }],
    ['a minute, and a second of it', { sent: '100522' }, { sent: '1005' }],
    ['a second, and its minute', { sent: '1005' }, { sent: '100500' }],
    ['a day, and a time of it', { sent: '1005' }, { sent: '20260115' }],
    ['no time', { sent: '1005' }, {}],
    ['no time before', {}, { sent: '1005' }],
    ['a time that is none', { sent: '1005' }, { sent: 'soon' }],
    ['clocks of two systems', { sent: '1005' }, { sent: '1001', sender: 'RIS|RAD' }],
    ['another zone', { sent: '20260115100500+0000' }, { sent: '20260115090600-0100' }],
    ['a date, and another zone of it', { sent: '20260115', sender: 'A|B' }, { sent: '20260114235959' }],
    [
      'an event that is newer, of a message that is older',
      { sent: '1005', event: '1000' },
      { sent: '1004', event: '1001' },
    ],
  ])('counts as it came: %s', async (_, first, second) => {
    expect(await flags(named('FIRST', first), named('SECOND', second))).toEqual(['filed', 'filed']);
    expect(await family()).toBe('SECOND');
  });

  it.each([
    ['a day before', { sent: '1005' }, { sent: '20260114' }],
    ['another system', { sent: '1005' }, { sent: '0959', sender: 'RIS|RAD' }],
    ['another zone', { sent: '20260115100500+0000' }, { sent: '20260115090300-0100' }],
    ['an old event sent anew', { sent: '1005', event: '1005' }, { sent: '1010', event: '1000' }],
    ['the same event, sent before', { sent: '1005', event: '20260115' }, { sent: '1004', event: '20260115' }],
    ['no event, sent before', { sent: '1005', event: '1005' }, { sent: '1004' }],
  ])('does not count: %s', async (_, first, second) => {
    expect(await flags(named('FIRST', first), named('SECOND', second))).toEqual([
      'filed',
      'filed older-demographics',
    ]);
    expect(await family()).toBe('FIRST');
  });

  it('is compared within the hour that comes twice as it came, and without a zone by the clock of its sender alone', async () => {
    const twice = [named('FIRST', { sent: '20251102013000' }), named('SECOND', { sent: '20251102011000' })];
    expect(await flags(...twice)).toEqual(['filed', 'filed']);
    run += 1;
    const step = world.otherStep({ settings: { SITE_TIME_ZONE: null } });
    const ids = await world.keep(
      named('FIRST', { sent: '1005' }),
      named('OLD', { sent: '1004' }),
      named('OTHER', { sent: '20260114100000', sender: 'RIS|RAD' }),
      named('ZONED', { sent: '20260114100000+0000' }),
      named('LONG', { sent: '20260112100000', sender: 'RIS|RAD' }),
    );
    await step.run({});
    expect((await world.rows(ids)).map((row) => row.flags.join())).toEqual([
      '',
      'older-demographics',
      '',
      '',
      'older-demographics',
    ]);
  });

  it('counts as it came where its time, or the one before, is ahead of our clock, and says so', async () => {
    expect(
      await flags(named('FIRST', { sent: '20990101', event: '1000' }), named('SECOND', { sent: '1001' })),
    ).toEqual(['filed time-ahead', 'filed']);
    expect(await flags(named('OLD', { sent: '20990102', event: '0959' }))).toEqual([
      'filed time-ahead older-demographics',
    ]);
    expect(await family()).toBe('SECOND');
  });

  it('is an order too: its patient and its visit do not go back, and the order is filed', async () => {
    await world.file(adt('A03', { sent: '1005' }, { 5: 'NEW^JANE' }, { 3: 'W2' }));
    const late = say('ORM^O01', [pid(), pv1(), `ORC|NW|P${run}^OE`, 'OBR|1|||X^Chest^L'], { sent: '1000' });
    expect(await flags(late)).toEqual(['filed older-demographics older-visit']);
    expect([await family(), (await visit()).location?.[0]?.location.display]).toEqual(['NEW', 'W2']);
    expect((await request()).encounter?.reference).toBe(`Encounter/${(await visit()).id}`);
  });

  it('does not open a visit again that was closed since; a discharge that comes late closes it all the same', async () => {
    expect(
      await flags(adt('A03', { sent: '1005' }, {}, { 45: '20260115' }), adt('A01', { sent: '1000' }, {}, {})),
    ).toEqual(['filed', 'filed older-visit']);
    expect(await visit()).toMatchObject({ status: 'finished', period: { end: '2026-01-15' } });
    run += 1;
    const [admitted, moved] = [
      adt('A01', { sent: '1000' }, {}, {}),
      adt('A08', { sent: '1010' }, {}, { 3: 'W9' }),
    ];
    await world.file(admitted, moved, adt('A03', { sent: '1005' }, {}, { 45: '20260115' }));
    expect(await visit()).toMatchObject({
      status: 'finished',
      period: { end: '2026-01-15' },
      location: [{ location: { display: 'W9' } }],
    });
  });

  it('closes a visit that is known by an update alone, which says nothing of its status', async () => {
    const moved = adt('A08', { sent: '1010' }, {}, { 2: '', 3: 'W9' });
    expect(await flags(moved, adt('A03', { sent: '1005' }, {}, { 3: '', 45: '20260115' }))).toEqual([
      'filed',
      'filed',
    ]);
    expect(await visit()).toMatchObject({ status: 'finished', class: { code: 'IMP' } });
  });

  it('merges all the same (A40), with the data of the survivor as a newer message said them', async () => {
    const gone = message('ADT^A04', [pid({}, `GONE${run}`)]);
    const merge = say('ADT^A40^ADT_A39', [pid({ 5: 'OLD^JANE' }), `MRG|GONE${run}^^^HOSP^MR`], {
      sent: '1000',
    });
    expect(await flags(named('NEW', { sent: '1005' }), gone, merge)).toEqual([
      'filed',
      'filed',
      'filed older-demographics',
    ]);
    expect(await family()).toBe('NEW');
    expect((await patient(`GONE${run}`)).id).toBeDefined();
    expect((await patient()).link?.[0]?.type).toBe('replaces');
    expect(await flags(named('NEXT', { sent: '1006' }), named('OLD', { sent: '1005' }))).toEqual([
      'filed',
      'filed older-demographics',
    ]);
    expect(await family()).toBe('NEXT');
  });

  it('says more than a result, whose patient is a copy', async () => {
    const result = say(
      'ORU^R01',
      [pid(), `OBR|1|P${run}|F${run}|X^Chest^L|||||||||||||||||||||F`, 'OBX|1|TX|1||Normal||||||F'],
      {
        sent: '1005',
      },
    );
    await world.file(result, adt('A04', { sent: '1000' }, { 5: 'FULL^JANE', 8: 'F' }));
    expect(await patient()).toMatchObject({ gender: 'female', name: [{ family: 'FULL' }] });
  });

  it('keeps what is said when apart from what is said: no value, and nothing of a message that is refused', async () => {
    await world.file(named('SECRETNAME', { sent: '1005' }));
    const rows = () =>
      world.database.run<{ told: string }>({
        text: 'SELECT resource_id, told FROM hl7_told ORDER BY 1',
      });
    const before = await rows();
    expect(JSON.stringify(before)).not.toContain('SECRETNAME');
    await world.file(say('ORM^O01', [pid(), `ORC|ZZ|P${run}^OE`], { sent: '1010' }));
    expect(await rows()).toEqual(before);
  });
});

describe('A change of an order that comes late', () => {
  it('does not undo a newer one, and is flagged', async () => {
    const all = [
      order('NW', { sent: '1000' }, {}, { 5: 'R' }),
      order('XO', { sent: '1010' }, {}, { 5: 'S' }),
      order('XO', { sent: '1005' }, {}, { 5: 'A', 13: 'Fell' }),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed', 'filed older-order']);
    expect(await request()).toMatchObject({ priority: 'stat', note: [{ text: 'Fell' }] });
  });

  it('still stops the order where what came before it said nothing of the status', async () => {
    const all = [
      order('NW', { sent: '1000' }, {}, {}),
      order('XO', { sent: '1010' }, {}, { 5: 'S' }),
      order('CA', { sent: '1005' }),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed', 'filed']);
    expect(await request()).toMatchObject({ status: 'revoked', priority: 'stat' });
  });

  it.each([
    ['a release before its hold', 'RL', 'HD', 'active'],
    ['a cancellation before a hold', 'CA', 'HD', 'revoked'],
  ])('%s: the newer one stays', async (_, newer, older, status) => {
    const all = [
      order('NW', { sent: '1000' }, {}, {}),
      order(newer, { sent: '1010' }),
      order(older, { sent: '1005' }),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed', 'filed older-order']);
    expect((await request()).status).toBe(status);
  });

  it.each([
    ['its ORC-9 is when the order was placed', { sent: '1020', event: '1000' }, 'revoked', 'filed'],
    [
      'its ORC-9 is older, and when it was made is not known',
      { event: '1000' },
      'active',
      'filed older-order',
    ],
    [
      'its ORC-9 is older, and it was made before',
      { sent: '1005', event: '1000' },
      'active',
      'filed older-order',
    ],
    ['its ORC-9 is newer, though it was made before', { sent: '1005', event: '1020' }, 'revoked', 'filed'],
  ])('a cancellation: %s', async (_, told, status, flagged) => {
    const released = order('RL', { sent: '1010', event: '1010' });
    expect(
      (await flags(order('NW', { sent: '1000', event: '1000' }, {}, {}), released, order('CA', told))).at(-1),
    ).toBe(flagged);
    expect((await request()).status).toBe(status);
  });

  it('leaves diagnoses, results and the accession number that a newer one said', async () => {
    const said = (name: string, told: Told) =>
      order(
        'XO',
        told,
        {},
        { 18: `${name}${run}` },
        `DG1|1||${name}^${name}^L`,
        `OBX|1|NM|W^Weight^L||${name.length}|kg|||||F`,
      );
    await world.file(order('NW', { sent: '1000' }, {}, {}), said('NEWER', { sent: '1010' }));
    expect(await flags(said('OLD', { sent: '1005' }))).toEqual(['filed older-order']);
    const { reasonReference, identifier } = await request();
    expect(reasonReference?.map(({ display }) => display)).toEqual(['NEWER']);
    const accessions = identifier?.filter(({ type }) => type?.coding?.[0]?.code === 'ACSN');
    expect(accessions?.map(({ value }) => value)).toEqual([`NEWER${run}`, `OLD${run}`]);
  });
});

describe('An order that comes after its cancellation', () => {
  const CODE = { 4: '36643-5^XR Chest^LN' };

  it.each([
    ['older', { sent: '1005', event: '1005' }, { sent: '1000', event: '1000' }],
    ['without times', {}, {}],
    ['at the same time', { sent: '1005' }, { sent: '1005' }],
    [
      'with the same ORC-9, made again since',
      { sent: '1005', event: '1000' },
      { sent: '1010', event: '1000' },
    ],
    ['on a day', { sent: '20260115' }, { sent: '1010' }],
  ])('%s: stays cancelled, with what it says, and is flagged', async (_, cancelled, placed) => {
    const all = [order('CA', cancelled, { 16: 'X^Duplicate^L' }), order('NW', placed, {}, CODE)];
    expect(await flags(...all)).toEqual(['filed stopped-unknown', 'filed order-came-late']);
    const found = await request();
    expect(found).toMatchObject({ status: 'revoked', code: { text: 'XR Chest' } });
    expect(JSON.stringify(found.extension)).toContain('Duplicate');
    // However often an engine sends it.
    expect(await flags(order('NW', placed, {}, CODE))).toEqual(['filed order-came-late']);
    expect((await request()).status).toBe('revoked');
  });

  it.each([
    ['DC', 'revoked'],
    ['OC', 'revoked'],
    ['HD', 'on-hold'],
  ])('%s: it is %s', async (control, status) => {
    const all = [order(control, { sent: '1005' }), order('NW', { sent: '1000' }, {}, CODE)];
    expect(await flags(...all)).toEqual(['filed stopped-unknown', 'filed order-came-late']);
    expect((await request()).status).toBe(status);
    if (status === 'on-hold') {
      expect(await flags(order('RL', { sent: '1010' }))).toEqual(['filed']);
      expect((await request()).status).toBe('active');
    }
  });

  it('is placed again where it is newer, which is flagged', async () => {
    const again = order('NW', { sent: '1010', event: '1010' }, {}, CODE);
    expect(await flags(order('CA', { sent: '1005', event: '1005' }), again)).toEqual([
      'filed stopped-unknown',
      'filed ordered-again',
    ]);
    expect((await request()).status).toBe('active');
  });

  it('and after both stays cancelled when it comes again, and is placed again where it is newer', async () => {
    const placed = { sent: '1000', event: '1000' };
    await world.file(order('NW', placed, {}, CODE), order('CA', { sent: '1005', event: '1005' }));
    expect(await flags(order('NW', { ...placed, sent: '1010' }, {}, CODE))).toEqual(['filed older-order']);
    expect((await request()).status).toBe('revoked');
    expect(await flags(order('NW', { sent: '1010', event: '1010' }, {}, CODE))).toEqual([
      'filed ordered-again',
    ]);
    expect((await request()).status).toBe('active');
  });

  it('is placed again where it is newer than the cancellation, though not than a change since', async () => {
    const all = [
      ...[order('NW', { sent: '1000' }, {}, CODE), order('CA', { sent: '1005' })],
      ...[order('XO', { sent: '1015' }, {}, { 5: 'S' }), order('NW', { sent: '1010' }, {}, { 5: 'R' })],
    ];
    expect((await flags(...all)).at(-1)).toBe('filed older-order ordered-again');
    expect(await request()).toMatchObject({ status: 'active', priority: 'stat' });
  });

  it('keeps what a change said that came before it, and is no sign that it was stopped', async () => {
    const all = [
      order('XO', { sent: '1005' }, {}, { 5: 'S' }),
      order('NW', { sent: '1000' }, {}, { 5: 'R', 31: 'R05^Cough^I10' }),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed order-came-late']);
    expect(await request()).toMatchObject({
      status: 'active',
      priority: 'stat',
      reasonCode: [{ text: 'Cough' }],
    });
  });

  it('is stopped by a cancellation that is older than the change by which it is known', async () => {
    const all = [
      order('XO', { sent: '1010' }, {}, { 5: 'S' }),
      order('CA', { sent: '1005' }),
      order('NW', { sent: '1000', event: '1000' }, {}, CODE),
    ];
    expect(await flags(...all)).toEqual(['filed', 'filed', 'filed order-came-late']);
    expect(await request()).toMatchObject({
      status: 'revoked',
      priority: 'stat',
      authoredOn: '2026-01-15T10:00:00-03:30',
    });
  });

  it('is another one where it replaces itself in one message', async () => {
    const replaced = say(
      'ORM^O01',
      [pid(), `ORC|RP|P${run}^OE`, `ORC|RO|P${run}^OE`, `OBR|1|P${run}^OE||X^Chest^L`],
      { sent: '1000' },
    );
    expect(await flags(replaced)).toEqual(['filed']);
    expect((await request()).status).toBe('active');
  });

  it('takes orders that were filed before times were kept as they come', async () => {
    await world.file(order('CA', { sent: '1005' }));
    await world.database.run({ text: 'DELETE FROM hl7_told' });
    expect(await flags(order('NW', { sent: '1000' }, {}, CODE))).toEqual(['filed ordered-again']);
    expect((await request()).status).toBe('active');
  });
});
