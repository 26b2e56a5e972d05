import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from './database.ts';

let database: Database;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ database, close } = await freshDatabase({ connections: 2 }));
  await database.run({ text: 'CREATE TABLE word (id integer PRIMARY KEY, text text, at timestamptz)' });
});
afterAll(() => close());
beforeEach(() => database.run({ text: 'TRUNCATE word' }));

const INSERT = { name: 'spec-insert', text: 'INSERT INTO word (id, text) VALUES ($1, $2)' };
const words = async () =>
  (await database.run<{ text: string }>({ text: 'SELECT text FROM word ORDER BY id' })).map(
    (row) => row.text,
  );

describe('a transaction', () => {
  it('keeps what was put off to its end, in order, and tells of the commit once', async () => {
    let told = 0;
    await database.transaction(async (tx) => {
      tx.later?.(INSERT, [1, 'one']);
      tx.later?.({ name: 'spec-update', text: 'UPDATE word SET text = $2 WHERE id = $1' }, [1, 'uno']);
      tx.afterCommit(() => {
        told += 1;
      });
    });
    expect(await words()).toEqual(['uno']);
    expect(told).toBe(1);
  });

  it('lets a statement see what was put off before it', async () => {
    const seen = await database.transaction(async (tx) => {
      tx.later?.(INSERT, [1, 'one']);
      return tx.run<{ n: number }>({ name: 'spec-count', text: 'SELECT count(*)::int AS n FROM word' });
    });
    expect(seen).toEqual([{ n: 1 }]);
  });

  it('of one statement that was put off rejects with its error, and leaves nothing', async () => {
    await database.run(INSERT, [1, 'one']);
    let back = 0;
    const twice = database.transaction(async (tx) => {
      tx.afterRollback((uncertain) => {
        back += uncertain ? 100 : 1;
      });
      tx.later?.(INSERT, [1, 'again']);
    });
    await expect(twice).rejects.toMatchObject({ code: '23505' });
    expect(back).toBe(1);
    expect(await words()).toEqual(['one']);
  });

  it('leaves nothing when the work throws, whether its statements had left or not', async () => {
    const failing = (sent: boolean) =>
      database.transaction(async (tx) => {
        tx.later?.(INSERT, [1, 'one']);
        if (sent) await tx.run(INSERT, [2, 'two']);
        throw new Error('no');
      });
    await expect(failing(false)).rejects.toThrow('no');
    await expect(failing(true)).rejects.toThrow('no');
    expect(await words()).toEqual([]);
  });

  it('that fails at its last statement rolls back the ones before', async () => {
    const failing = database.transaction(async (tx) => {
      await tx.run(INSERT, [1, 'one']);
      tx.later?.(INSERT, [1, 'again']);
    });
    await expect(failing).rejects.toMatchObject({ code: '23505' });
    expect(await words()).toEqual([]);
  });

  it.each([
    ['on its own', false, true],
    ['after others were put off', true, true],
    ['without waiting for the disk', true, false],
  ])(
    'is over with its last statement, %s: its rows come back and all of it holds',
    async (_, before, durable) => {
      let told = 0;
      const rows = await database.transaction(
        async (tx) => {
          if (before) tx.later?.(INSERT, [1, 'one']);
          tx.afterCommit(() => {
            told += 1;
          });
          const statement = { name: 'spec-count', text: 'SELECT count(*)::int AS n FROM word' };
          return tx.last?.({ statement, values: [] }, { statement, values: [] });
        },
        { durable },
      );
      const counted = [{ n: before ? 1 : 0 }];
      expect(rows).toEqual([counted, counted]);
      expect(told).toBe(1);
      expect(await words()).toEqual(before ? ['one'] : []);
    },
  );

  it('whose last statement follows others that were sent, or fails, is one transaction all the same', async () => {
    await database.transaction(async (tx) => {
      await tx.run(INSERT, [1, 'one']);
      await tx.last?.({ statement: INSERT, values: [2, 'two'] });
    });
    const failing = (sent: boolean) =>
      database.transaction(async (tx) => {
        if (sent) await tx.run(INSERT, [3, 'three']);
        else tx.later?.(INSERT, [3, 'three']);
        await tx.last?.({ statement: INSERT, values: [1, 'again'] });
      });
    await expect(failing(true)).rejects.toMatchObject({ code: '23505' });
    await expect(failing(false)).rejects.toMatchObject({ code: '23505' });
    expect(await words()).toEqual(['one', 'two']);
  });

  it('writes many rows that were put off in one statement, with nulls, times and bytes as they were', async () => {
    const many = {
      name: 'spec-many',
      manyRows: true,
      text: `INSERT INTO word (id, text, at) SELECT id, coalesce(text, encode(raw, 'escape')), at
        FROM unnest($1::int[], $2::text[], $3::bytea[], $4::timestamptz[]) AS r(id, text, raw, at)`,
    };
    const at = new Date('2026-01-15T10:15:22.123Z');
    await database.transaction(async (tx) => {
      tx.later?.(many, [1, 'a "quoted", {odd} \\ one', null, at]);
      tx.later?.(many, [2, null, Buffer.from('bytes'), null]);
      tx.later?.(INSERT, [3, 'between']);
      tx.later?.(many, [4, '', null, null]);
    });
    expect(await words()).toEqual(['a "quoted", {odd} \\ one', 'bytes', 'between', '']);
    expect(await database.run({ text: 'SELECT at FROM word WHERE at IS NOT NULL' })).toEqual([{ at }]);
  });

  it('that touches nothing takes no connection', async () => {
    const held = Array.from({ length: 2 }, () =>
      database.transaction((tx) => tx.run({ text: 'SELECT pg_sleep($1)' }, [0.3])),
    );
    const first = Promise.race(held.map((one) => one.then(() => 'a connection is free')));
    const empty = database.transaction(async () => undefined).then(() => 'nothing was waited for');
    expect(await Promise.race([empty, first])).toBe('nothing was waited for');
    await Promise.all(held);
  });

  it('need not wait for the disk when told so, and holds all the same', async () => {
    await database.transaction(
      async (tx) => {
        tx.later?.(INSERT, [1, 'one']);
        const [row] = await tx.run<{ v: string }>({
          name: 'spec-durable',
          text: "SELECT current_setting('synchronous_commit') AS v",
        });
        expect(row?.v).toBe('off');
      },
      { durable: false },
    );
    expect(await words()).toEqual(['one']);
  });
});

describe('a statement', () => {
  it('that failed can be run again on the same connection', async () => {
    const broken = { name: 'spec-later-there', text: 'SELECT * FROM not_there_yet' };
    for (let tries = 0; tries < 4; tries++)
      await expect(database.run(broken, [])).rejects.toMatchObject({ code: '42P01' });
    await database.run({ text: 'CREATE TABLE not_there_yet (x integer)' });
    for (let tries = 0; tries < 4; tries++) expect(await database.run(broken)).toEqual([]);
  });

  it('whose table gets another column gives the new one after one refusal at most', async () => {
    const all = { name: 'spec-star', text: 'SELECT * FROM wider WHERE x = $1' };
    await database.run({ text: 'CREATE TABLE wider (x integer); INSERT INTO wider VALUES (1)' });
    for (let tries = 0; tries < 4; tries++) expect(await database.run(all, [1])).toEqual([{ x: 1 }]);
    await database.run({ text: "ALTER TABLE wider ADD COLUMN y text DEFAULT 'new'" });
    const results = [];
    for (let tries = 0; tries < 6; tries++) results.push(await database.run(all, [1]).catch(() => 'refused'));
    expect(results.slice(-2)).toEqual(
      [
        { x: 1, y: 'new' },
        { x: 1, y: 'new' },
      ].map((row) => [row]),
    );
  });

  it('takes and gives times, lists, bytes, big numbers and nulls', async () => {
    const at = new Date('2024-02-29T12:00:00.123Z');
    const [row] = await database.run(
      {
        text: 'SELECT $1::timestamptz AS at, $2::text[] AS list, $3::bytea AS bytes, $4::bigint AS big, $5::text AS none',
      },
      [at, ['a"b', 'c\\d', null], Buffer.from([0, 255]), 9007199254740993n, null],
    );
    expect(row).toEqual({
      at,
      list: ['a"b', 'c\\d', null],
      bytes: Buffer.from([0, 255]),
      big: '9007199254740993',
      none: null,
    });
  });

  it('with a value that cannot be written harms no connection', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (let tries = 0; tries < 5; tries++)
      await expect(database.run({ text: 'SELECT $1::text' }, [circle])).rejects.toThrow();
    expect(await database.run({ text: 'SELECT $1::int AS x' }, [1])).toEqual([{ x: 1 }]);
  });
});
