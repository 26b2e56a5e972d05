import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database, Statement } from './database.ts';
import { TRIP_MS_MAX } from './shared-trips.ts';

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ database, close } = await freshDatabase({ connections: 6 }));
});
afterAll(() => close());

const HALF: Statement = {
  name: 'spec-half',
  text: 'SELECT 10 / $1::int AS half, pg_backend_pid() AS pid',
  brief: true,
};
const WAIT: Statement = {
  name: 'spec-wait',
  text: 'SELECT pg_sleep($1::float8) IS NULL AS done',
  brief: true,
};

const half = async (by: number) => (await database.run<{ half: number; pid: number }>(HALF, [by]))[0];

describe('brief statements that come together', () => {
  it('share connections, and each has its own answer', async () => {
    const asked = Array.from({ length: 30 }, (_, n) => (n % 10) + 1);
    const rows = await Promise.all(asked.map(half));
    expect(rows.map((row) => row?.half)).toEqual(asked.map((by) => Math.trunc(10 / by)));
    expect(new Set(rows.map((row) => row?.pid)).size).toBeLessThanOrEqual(2);
  });

  it('fail alone', async () => {
    const answers = await Promise.allSettled([half(5), half(0), half(2), half(0), half(1)]);
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(answers[1]).toMatchObject({ reason: { code: '22012' } });
    // The connections are whole.
    expect((await half(2))?.half).toBe(5);
  });

  it('wait for one that takes long for a moment only, and it has the time that is its own', async () => {
    const begun = performance.now();
    const long = database.run<{ done: boolean }>(WAIT, [(2 * TRIP_MS_MAX) / 1_000]);
    const [behind, late] = await Promise.all([half(2), database.run({ ...WAIT, timeoutMs: 2_000 }, [0])]);
    const waited = performance.now() - begun;
    expect(behind?.half).toBe(5);
    expect(late).toHaveLength(1);
    expect((await long)[0]?.done).toBe(false);
    expect(performance.now() - begun).toBeGreaterThan(2 * TRIP_MS_MAX);
    expect(waited).toBeLessThan(performance.now() - begun);
  });

  it('end as a time-out when they take longer than they may', async () => {
    const slow = { ...WAIT, name: 'spec-wait-limited', timeoutMs: 2 };
    const [one] = await Promise.allSettled([database.run(slow, [5]), half(2)]);
    expect(one).toMatchObject({ status: 'rejected', reason: { code: 'database.timeout' } });
  });

  it('see what was committed before they were sent', async () => {
    await database.run({ text: 'CREATE TABLE seen (n integer)' });
    const count = { name: 'spec-seen', text: 'SELECT count(*)::int AS n FROM seen', brief: true };
    for (const n of [1, 2, 3]) {
      await database.run({ text: 'INSERT INTO seen VALUES (1)' });
      const both = await Promise.all([
        database.run<{ n: number }>(count),
        database.run<{ n: number }>(count),
      ]);
      expect(both.flat()).toEqual([{ n }, { n }]);
    }
  });
});
