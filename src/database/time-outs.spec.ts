import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFhirApp } from '../../test/bulk/fhir-app.ts';
import { type FreshDatabase, freshDatabase } from '../../test/database.ts';
import { COUNT_MS_MAX, SEARCH_MS_MAX } from '../fhir/search/time-limits.ts';
import { migrate, STATEMENT_MS_MAX } from './data-source.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase({ connections: 2 });
});
afterAll(() => fresh.close());

const SLEEP = 'SELECT pg_sleep(20)';

describe('a statement with a time of its own', () => {
  it('is stopped in PostgreSQL when the time is over, as database.timeout', async () => {
    const before = Date.now();
    await expect(fresh.database.run({ text: SLEEP, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'database.timeout',
      kind: 'timeout',
    });
    expect(Date.now() - before).toBeLessThan(5_000);
    const running = async () => {
      const [row] = await fresh.database.run<{ n: number }>({
        text: `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = '${SLEEP}' AND state = 'active'`,
      });
      return row?.n;
    };
    // The state of another connection is told a moment after it has changed.
    await expect.poll(running).toBe(0);
  });

  it('leaves the connections usable, also when all of them were stopped at once', async () => {
    const all = Array.from({ length: 6 }, () =>
      fresh.database.run({ text: SLEEP, timeoutMs: 150 }).catch((error: { code: string }) => error.code),
    );
    expect(new Set(await Promise.all(all))).toEqual(new Set(['database.timeout']));
    for (let at = 0; at < 10; at += 1)
      expect(await fresh.database.run({ text: 'SELECT 1 AS one' })).toEqual([{ one: 1 }]);
  });

  it('gives its rows when it is in time', async () => {
    expect(await fresh.database.run({ text: 'SELECT $1::int AS n', timeoutMs: 5_000 }, [3])).toEqual([
      { n: 3 },
    ]);
  });

  it('has 5 s for a search and 2 s for a count', () => {
    expect([SEARCH_MS_MAX, COUNT_MS_MAX]).toEqual([5_000, 2_000]);
  });
});

describe('every connection', () => {
  const shown = async (name: string) =>
    (await fresh.database.run<Record<string, string>>({ text: `SHOW ${name}` }))[0]?.[name];

  it('bounds a statement to a minute and an idle transaction to half of one', async () => {
    expect(await shown('statement_timeout')).toBe(`${STATEMENT_MS_MAX / 60_000}min`);
    expect(await shown('idle_in_transaction_session_timeout')).toBe('30s');
  });

  it('has the same bounds after migrations ran on it, and no wait for locks is left behind', async () => {
    await migrate(fresh.database.dataSource);
    for (let at = 0; at < 4; at += 1) {
      expect(await shown('statement_timeout')).toBe('1min');
      expect(await shown('lock_timeout')).toBe('0');
    }
  });
});

describe('over FHIR', () => {
  it('a search is stopped after SEARCH_MS_MAX and a count after COUNT_MS_MAX, with 504 and an outcome; others go on', async () => {
    const app = await startFhirApp({}, { runJobs: false });
    await app.ask('PUT', 'Patient/1', { resourceType: 'Patient', id: '1' });
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const locked = new Promise<void>((resolve) => {
      // Stands for a search that reads for ever: it waits for a table that somebody holds.
      void app.database.transaction(async (tx) => {
        await tx.run({ text: 'LOCK TABLE resource IN ACCESS EXCLUSIVE MODE' });
        resolve();
        await held;
      });
    });
    await locked;
    const timed = async (path: string) => {
      const before = Date.now();
      const answer = await app.ask('GET', path);
      return { ...answer, ms: Date.now() - before };
    };
    const [search, count] = await Promise.all([timed('Patient?_id=1'), timed('Patient?_summary=count')]);
    release();
    for (const { answer, limit } of [
      { answer: search, limit: SEARCH_MS_MAX },
      { answer: count, limit: COUNT_MS_MAX },
    ]) {
      expect(answer.status).toBe(504);
      expect(answer.json.issue[0].details.coding[0].code).toBe('database.timeout');
      expect(answer.ms).toBeGreaterThan(limit - 100);
      expect(answer.ms).toBeLessThan(limit + 3_000);
    }
    expect((await app.ask('GET', 'Patient?_id=1')).json.total).toBe(1);
    await app.close();
  });
});
