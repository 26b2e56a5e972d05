import type { Group, Observation, Patient } from '@medplum/fhirtypes';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { matchWorld, observation, patient, subscription } from '../../test/subscriptions/match-world.ts';
import type { Statement, Transaction } from '../database/database.ts';
import { FULL_ACCESS } from '../fhir/access-context.ts';
import { OUTDATED_SQLSTATE } from '../fhir/resource-store.ts';
import { REFERRERS_FOR_MANY_MAX } from '../fhir/search/find-referrers.ts';

const world = matchWorld();
const { write, writeBehind } = world;

/** Writes, and counts what the matching asked of SQL. */
async function asked(
  resource: (Observation | Group | Patient) & { id: string },
  { guess = false } = {},
): Promise<{ statements: number; criteria: number; all: number }> {
  const counted = { statements: 0, criteria: 0, all: 0 };
  await world.database.transaction((tx) => {
    const run = (statement: Statement, values?: readonly unknown[]) => {
      const criteria = statement.text.match(/ AS at, r\.id FROM resource r /g)?.length ?? 0;
      if (criteria > 0) counted.statements += 1;
      counted.all += 1;
      counted.criteria += criteria;
      return tx.run(statement, values);
    };
    return world.store.writeTogether(
      Object.assign(Object.create(tx), { run }) as Transaction,
      [{ write: { kind: 'update', resource }, access: FULL_ACCESS }],
      { guess },
    );
  });
  return counted;
}

describe('1,000 Subscriptions that no code tells apart', () => {
  const mg = (value: number) => ({
    valueQuantity: { value, unit: 'mg', system: 'http://unitsofmeasure.org', code: 'mg' },
  });
  beforeAll(async () => {
    const criteria = Array.from({ length: 1_000 }, (_, n) => {
      const at = 1_000 + n;
      return [
        `value-quantity=gt${at}`,
        `value-quantity=${at}||mg`,
        `component-value-quantity=lt-${at}`,
        `date=ge2${String(n).padStart(3, '0')}-01-01&date=lt2${String(n).padStart(3, '0')}-02-01`,
        `value-string=text-${n}`,
        `_id=only-${n}`,
        `code-value-quantity=c${n}$gt5`,
        `value-date=lt1${String(n).padStart(3, '0')}`,
        `status=final&value-quantity=lt-${at}`,
        `status:not=final&value-quantity=gt${at}`,
      ][n % 10] as string;
    });
    await write(...criteria.map((one, n) => subscription(`range-${n}`, `Observation?${one}`)));
  });

  afterAll(() =>
    world.database.run({
      text: `DELETE FROM resource WHERE type = 'Subscription' AND id ~ '^(range|same)-'`,
    }),
  );

  it('cost a write that meets none of them no statement', async () => {
    const near = {
      ...mg(999.9),
      effectiveDateTime: '1999-12-31',
      component: [{ code: { text: 'x' }, ...mg(-999) }],
    };
    expect(await asked(observation('far', near))).toMatchObject({ statements: 0, criteria: 0 });
    expect(await world.fired()).toEqual([]);
  });

  it.each([
    ['a quantity', 'q', mg(1_005.5), ['range-0']],
    [
      'the same quantity in another unit',
      'q2',
      { valueQuantity: { value: 1.001, system: 'http://unitsofmeasure.org', code: 'g' } },
      ['range-1'],
    ],
    ['a component', 'c', { component: [{ code: { text: 'x' }, ...mg(-1_002.5) }] }, ['range-2']],
    ['a date', 'd', { effectiveDateTime: '2003-01-15' }, ['range-3']],
    ['a text', 's', { valueString: 'Text-4' }, ['range-4']],
    ['an id', 'only-5', {}, ['range-5']],
    ['a pair', 'p', { code: { coding: [{ code: 'c6' }] }, ...mg(7) }, ['range-6']],
  ])(
    'cost one that meets one by %s one statement about as many criteria as may match',
    async (_, id, more, fired) => {
      const work = await asked(observation(id, more));
      expect(work.statements).toBe(1);
      expect(work.criteria).toBeLessThanOrEqual(2);
      expect(await world.fired()).toEqual(fired);
    },
  );

  it('are asked once where many say the same', async () => {
    const same = 'Observation?value-quantity=lt-100000';
    await write(...Array.from({ length: 50 }, (_, n) => subscription(`same-${n}`, same)));
    const work = await asked(observation('low', mg(-100_001)));
    // Of the others 100 are met by it.
    expect(work).toMatchObject({ statements: 3, criteria: 101 });
    expect((await world.fired()).filter((id) => id.startsWith('same-'))).toHaveLength(50);
  });
});

describe('1,000 Subscriptions by what is seldom asked', () => {
  const kinds: readonly ((n: number) => string)[] = [
    (n) => `_lastUpdated=gt${2100 + n}`,
    (n) => `_lastUpdated=ap${2100 + n}`,
    (n) => `code:text=words ${n}`,
    (n) => `code=http://none.example/${n}|`,
    (n) => `identifier:of-type=http://t.example|MR|${n}`,
    (n) => `_id=other-${n},another-${n}&code:missing=true`,
    () => 'status:missing=true',
    () => 'method:missing=false',
  ];
  const all = Array.from({ length: 1_000 }, (_, n) => n);
  /** Not through the matcher, which would try each of them. */
  const many = (criteria: (n: number) => string) =>
    writeBehind(...all.map((n) => subscription(`many-${n}`, criteria(n))));
  const fired = async () => (await world.fired()).filter((id) => id.startsWith('many-'));
  afterEach(() =>
    world.database.transaction((tx) =>
      world.behind.write(
        tx,
        all.map((n) => ({ kind: 'delete' as const, type: 'Subscription', id: `many-${n}` })),
      ),
    ),
  );

  it('by time of change, text, system, type of identifier or :missing: a write that meets none of them costs no statement', async () => {
    await many((n) => `Observation?${kinds[n % kinds.length]?.(n)}`);
    expect(await asked(observation('seldom', {}))).toMatchObject({ statements: 0, criteria: 0 });
    expect(await fired()).toEqual([]);
    await asked(observation('seldom', { code: { text: 'Words 10' } }));
    expect(await fired()).toEqual(['many-10']);
  });

  it('by pairs of codes: none either, and the one that is met fires', async () => {
    await many((n) => `Group?characteristic-value=c${n}$v`);
    const group = (id: string, code: string): Group & { id: string } => ({
      ...{ resourceType: 'Group', id, type: 'person', actual: true },
      characteristic: [
        { code: { coding: [{ code }] }, valueCodeableConcept: { coding: [{ code: 'v' }] }, exclude: false },
      ],
    });
    expect(await asked(group('none', 'c1000'))).toMatchObject({ statements: 0 });
    expect(await asked(group('one', 'c7'))).toMatchObject({ statements: 1, criteria: 1 });
    expect(await fired()).toEqual(['many-7']);
  });

  it('by a chain: the patient is read once for all, and only those that may match are asked', async () => {
    await many((n) => `Observation?subject:Patient.name=nobody-${n}`);
    const subject = { reference: 'Patient/chained' };
    await write(patient('chained', 'Somebody'));
    const alone = await asked(observation('unchained', {}));
    const none = await asked(observation('chained-1', { subject }));
    expect(none).toEqual({ statements: 0, criteria: 0, all: alone.all + 1 });
    await write(patient('chained', 'Nobody-70'));
    expect(await asked(observation('chained-2', { subject }))).toMatchObject({ statements: 1, criteria: 2 });
    expect(await fired()).toEqual(['many-7', 'many-70']);
    // What the same transaction has written counts.
    await write(patient('chained', 'nobody-8'), observation('chained-3', { subject }));
    expect(await fired()).toEqual(['many-7', 'many-70', 'many-8']);
  });

  it('by a chain: the writes of one transaction read the patient once, and again when it has been written', async () => {
    await many((n) => `Observation?subject:Patient.name=nobody-${n}`);
    const subject = { reference: 'Patient/once' };
    const family = (name: string): Patient & { id: string } => ({
      ...{ resourceType: 'Patient', id: 'once', name: [{ family: name }] },
    });
    await write(family('Somebody'));
    let reads = 0;
    await world.database.transaction(async (tx) => {
      const run = (statement: Statement, values?: readonly unknown[]) => {
        if (values?.some((value) => Array.isArray(value) && value.includes('once'))) reads += 1;
        return tx.run(statement, values);
      };
      const counted: Transaction = Object.assign(Object.create(tx), { run });
      const one = (resource: (Patient | Observation) & { id: string }) =>
        world.store.write(counted, [{ kind: 'update', resource }]);
      for (const id of ['o-1', 'o-2', 'o-3']) await one(observation(id, { subject }));
      expect(reads).toBe(1);
      await one(family('Nobody-9'));
      await one(observation('o-4', { subject }));
    });
    expect(await fired()).toEqual(['many-9']);
  });

  it('by a chain: a patient that is known here is not read, and one that has changed since fires all the same', async () => {
    await many((n) => `Observation?subject:Patient.name=nobody-${n}`);
    const subject = { reference: 'Patient/known' };
    const write1 = (n: number) => asked(observation(`known-${n}`, { subject }), { guess: true });
    await write(patient('known', 'Somebody'));
    const read = await write1(1);
    expect((await write1(2)).all).toBe(read.all - 1);
    // Written here: it is read again, and nothing fails.
    await write(patient('known', 'Nobody-5'));
    expect(await write1(3)).toMatchObject({ criteria: 1 });
    expect(await fired()).toEqual(['many-5']);
    expect((await write1(4)).criteria).toBe(1);
    // Written by another process: the first try fails, the second one looks.
    await writeBehind(patient('known', 'Nobody-6'));
    await expect(write1(5)).rejects.toMatchObject({ code: OUTDATED_SQLSTATE });
    expect(await world.store.read('Observation', 'known-5')).toBeNull();
    expect(await write1(5)).toMatchObject({ criteria: 1 });
    expect(await fired()).toEqual(['many-5', 'many-5', 'many-6']);
    // One that somebody changes is not taken for known at once again: the next change meets no guess.
    await writeBehind(patient('known', 'Nobody-7'));
    await write1(6);
    expect(await fired()).toEqual(['many-5', 'many-5', 'many-6', 'many-7']);
  });

  it('by _has: what refers to it is read once for all', async () => {
    await many((n) => `Patient?_has:Observation:patient:code=c${n}`);
    await write(patient('referred'));
    expect(await asked(patient('referred'))).toMatchObject({ statements: 0 });
    await asked(
      observation('referring', {
        subject: { reference: 'Patient/referred' },
        code: { coding: [{ code: 'c3' }] },
      }),
    );
    expect(await asked(patient('referred'))).toMatchObject({ statements: 1, criteria: 1 });
    expect(await fired()).toEqual(['many-3']);
    // On both sides of the border the answer is the same: by a list for so many criteria, beyond it by SQL.
    const referring = (from: number, to: number) =>
      world.database.transaction((tx) =>
        world.behind.write(
          tx,
          Array.from({ length: to - from }, (_, n) => ({
            kind: 'create' as const,
            resource: observation(`r-${from + n}`, { subject: { reference: 'Patient/referred' } }),
          })),
        ),
      );
    await referring(1, REFERRERS_FOR_MANY_MAX);
    expect(await asked(patient('referred'))).toMatchObject({ criteria: 1 });
    await referring(REFERRERS_FOR_MANY_MAX, REFERRERS_FOR_MANY_MAX + 1);
    expect(await asked(patient('referred'))).toMatchObject({ criteria: 1_000 });
    expect(await fired()).toEqual(['many-3', 'many-3', 'many-3']);
  });
});
