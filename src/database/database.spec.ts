import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { mayHaveHappened, REFUSAL_SHOWN_MS, refusedLately } from './connection-failure.ts';
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

describe('a database that takes no writes', () => {
  it('is unavailable while it is read only, and its connections are given up: what comes in its place is used at once', async () => {
    const fresh = await freshDatabase({ connections: 3 });
    const [row] = await fresh.database.run<{ name: string }>({ text: 'SELECT current_database() AS name' });
    const name = row?.name ?? '';
    const byHand = async (...texts: string[]) => {
      const client = new pg.Client({ connectionString: fresh.url });
      await client.connect();
      for (const text of texts) await client.query(text);
      await client.end();
    };
    const write = { text: 'INSERT INTO word (id) VALUES ($1)' };
    const inTransaction = (id: number) =>
      fresh.database.transaction(async (tx) => {
        await tx.run({ text: 'SELECT 1' });
        await tx.run(write, [id]);
      });
    await fresh.database.run({ text: 'CREATE TABLE word (id integer PRIMARY KEY)' });
    await byHand(
      `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`,
    );
    await expect
      .poll(() => fresh.database.run({ text: 'SELECT 1 AS one' }).catch(() => null))
      .toEqual([{ one: 1 }]);
    for (const work of [() => fresh.database.run(write, [1]), () => inTransaction(2)])
      await expect(work()).rejects.toMatchObject({
        code: 'database.unavailable',
        message: expect.stringMatching(/takes no writes.*Nothing was stored/),
      });
    // Each connection that is open now was made while writes were refused; a new one is not.
    await Promise.all([1, 2, 3].map(() => fresh.database.run({ text: 'SELECT pg_sleep(0.05)' })));
    await byHand(
      'SET default_transaction_read_only = off',
      `ALTER DATABASE ${name} RESET default_transaction_read_only`,
    );
    const tried: string[] = [];
    for (let id = 10; id < 14; id += 1)
      await inTransaction(id).then(
        () => tried.push('stored'),
        (error: { code: string }) => tried.push(error.code),
      );
    expect(tried.at(-1)).toBe('stored');
    expect(tried.filter((end) => end === 'database.unavailable').length).toBeLessThanOrEqual(3);
    await fresh.close();
  });

  it.each(['25006', '53100', '53200', '58030'])(
    'says so by %s, and nothing can have happened',
    async (code) => {
      const failing = database.run({
        text: `DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '${code}'; END $$`,
      });
      const error = await failing.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'database.unavailable' });
      expect(mayHaveHappened(error)).toBe(false);
      expect(refusedLately()).toMatch(/database/);
      expect(refusedLately(performance.now() + REFUSAL_SHOWN_MS)).toBeNull();
    },
  );
});
