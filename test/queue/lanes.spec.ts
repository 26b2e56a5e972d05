import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { claimNext } from '../../src/queue/claim.ts';
import type { Job, JobHandler, JobOutcome } from '../../src/queue/job.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { RETRY_DELAY_MS, runJob } from '../../src/queue/run-job.ts';
import { Runner } from '../../src/queue/runner.ts';
import { promoteForsaken } from '../../src/queue/sweep.ts';
import { freshDatabase } from '../database.ts';
import { GROUND } from './job-ground.ts';

let database: Database;
let close: () => Promise<void>;
const lines: Record<string, unknown>[] = [];
const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
const running: Runner[] = [];
let outbox: Outbox;

beforeAll(async () => {
  ({ database, close } = await freshDatabase({ connections: 8 }));
});
afterAll(() => close());
beforeEach(() => {
  outbox = new Outbox();
  lines.length = 0;
});
afterEach(async () => {
  for (const runner of running.splice(0)) await runner.stop();
  await database.run({ text: 'TRUNCATE outbox' });
});

const add = (...requests: Parameters<Outbox['add']>[1]) =>
  database.transaction((tx) => outbox.add(tx, requests));
const states = async () =>
  (
    await database.run<{ n: number; state: string }>({
      text: `SELECT (payload->>'n')::int AS n, state FROM outbox ORDER BY id`,
    })
  ).map(({ n, state }) => `${n} ${state}`);
const job = (n: number, lane?: string, queue = 'q') => ({ queue, payload: { n }, ...(lane ? { lane } : {}) });

async function start(...handlers: JobHandler[]): Promise<Runner> {
  const runner = new Runner(database, outbox, handlers, log);
  running.push(runner);
  await runner.start();
  return runner;
}

const handler = (
  run: (n: number) => Promise<JobOutcome | void>,
  more: Partial<JobHandler> = {},
): JobHandler => ({
  queue: 'q',
  concurrency: 4,
  attemptsMax: 2,
  run: async ({ payload }) => (await run(Number(payload['n']))) ?? { kind: 'done' },
  ...more,
});

describe('a lane', () => {
  it('has one head, and what follows is held until the head has ended, however that is', async () => {
    await add(job(1, 'a'), job(2, 'a'), job(3, 'b'));
    await add(job(4, 'a'));
    expect(await states()).toEqual(['1 waiting', '2 held', '3 waiting', '4 held']);
    const ran: number[] = [];
    await start(
      handler(async (n) => {
        ran.push(n);
        if (n === 1) return { kind: 'dead', why: 'no' };
      }),
    );
    await until(async () => ran.length === 4);
    expect(ran.filter((n) => n !== 3)).toEqual([1, 2, 4]);
    await until(async () => (await states()).join() === '1 dead');
  });

  it('keeps a head that waits for its time, and those behind it', async () => {
    const ran: number[] = [];
    await add(job(1, 'a'), job(2, 'a'));
    await start(
      handler(async (n) => {
        ran.push(n);
        if (n === 1 && ran.length === 1) return { kind: 'again', afterMs: 300, why: 'not yet', free: true };
      }),
    );
    await until(() => ran.length >= 1);
    await sleep(100);
    expect(await states()).toEqual(['1 waiting', '2 held']);
    await until(() => ran.length === 3);
    expect(ran).toEqual([1, 1, 2]);
  });

  it('never stands still when rows come while its head ends', async () => {
    const ran: number[] = [];
    await start(handler(async (n) => void ran.push(n)));
    for (let n = 0; n < 150; n += 1) {
      await add(job(n, 'a'));
      if (n % 3 === 0) await sleep(Math.random() * 4); // the end of the head falls before, into and after the next cause
    }
    await until(() => ran.length === 150, 1_500); // the sweep would come after 2 s
    expect(ran).toEqual(Array.from({ length: 150 }, (_, n) => n));
  });

  it('takes a replayed job as its next, never beside the one that runs', async () => {
    let together = 0;
    let most = 0;
    let refuse = true;
    const ran: number[] = [];
    await start(
      handler(async (n) => {
        together += 1;
        most = Math.max(most, together);
        await sleep(80);
        together -= 1;
        if (n === 1 && refuse) return { kind: 'dead', why: 'no' };
        ran.push(n);
      }),
    );
    await add(job(1, 'a'), job(2, 'a'), job(3, 'a'));
    await until(async () => (await states())[0] === '1 dead');
    refuse = false;
    const [dead] = await outbox.dead(database, 1);
    expect(await database.transaction((tx) => outbox.replay(tx, dead?.id ?? ''))).toEqual({
      queue: 'q',
      payload: { n: 1 },
    });
    await until(() => ran.length === 3);
    expect(ran).toEqual([2, 1, 3]);
    expect(most).toBe(1);
  });

  it('whose head somebody deleted by hand goes on', async () => {
    await add(job(1, 'a'), job(2, 'a'), job(3, 'a'), job(4, 'b'));
    await database.run({ text: `DELETE FROM outbox WHERE payload->>'n' = '1'` });
    expect(await promoteForsaken(database)).toBe(1);
    expect(await states()).toEqual(['2 waiting', '3 held', '4 waiting']);
  });

  it('without a head is found among 5,000 at once, also when the planner has not heard of them yet', async () => {
    await database.run({ text: 'ALTER TABLE outbox SET (autovacuum_enabled = off)' });
    await database.run({
      text: `INSERT INTO outbox (queue, payload, lane, state)
        SELECT 'q', '{}', 'lane' || (n % 5000), CASE WHEN n < 5000 AND n <> 77 THEN 'waiting' ELSE 'held' END FROM generate_series(0, 39999) n`,
    });
    const began = performance.now();
    expect(await promoteForsaken(database)).toBe(1);
    // Joining all held rows to all heads took minutes for a backlog of 100,000.
    expect(performance.now() - began).toBeLessThan(3_000);
    const [head] = await database.run({
      text: `SELECT state FROM outbox WHERE lane = 'lane77' ORDER BY id LIMIT 1`,
    });
    expect(head).toEqual({ state: 'waiting' });
    await database.run({ text: 'ALTER TABLE outbox RESET (autovacuum_enabled)' });
  }, 60_000);

  it('costs nothing to those who claim: 100,000 rows behind few heads are not looked at', async () => {
    await database.run({
      text: `INSERT INTO outbox (queue, payload, lane, state, not_before)
        SELECT 'q', '{}', 'lane' || (n % 5), CASE WHEN n <= 5 THEN 'waiting' ELSE 'held' END, now() + interval '1 hour' FROM generate_series(1, 100000) n`,
    });
    await database.run({ text: 'ANALYZE outbox' });
    await add(job(1));
    let best = Number.POSITIVE_INFINITY;
    let claimed = 0;
    for (let round = 0; round < 3; round += 1) {
      const before = performance.now();
      claimed += (await claimNext(database, 'q', 8, 1)).length;
      best = Math.min(best, performance.now() - before);
    }
    expect(claimed).toBe(1);
    expect(best).toBeLessThan(50); // it was 800 ms when each look passed over all of them
  });
});

describe('the runner', () => {
  it('says once, in one line without data, that a job was given up: by itself and by its attempts', async () => {
    await add(job(1), job(2));
    await start(
      handler(
        async (n) => {
          if (n === 1) return { kind: 'dead', why: 'the peer said Jane Doe' };
          throw new TypeError('Jane Doe');
        },
        { attemptsMax: 1 },
      ),
    );
    await until(async () => (await states()).join() === '1 dead,2 dead');
    await until(() => lines.filter((line) => line['msg'] === 'job given up: a dead letter').length === 2);
    const said = lines
      .filter((line) => line['msg'] === 'job given up: a dead letter')
      .map(({ level, queue, code, job: id }) => ({ level, queue, code, id }));
    expect(said.sort((a, b) => Number(a.id) - Number(b.id))).toEqual([
      { level: 40, queue: 'q', code: 'given-up', id: expect.any(String) },
      { level: 40, queue: 'q', code: 'TypeError', id: expect.any(String) },
    ]);
    expect(JSON.stringify(lines)).not.toContain('Jane');
  });

  it('starts a second timed job in time although another queue has a backlog', async () => {
    const at: number[] = [];
    const slow = handler(async () => sleep(400), { queue: 'slow', concurrency: 1 });
    await start(
      slow,
      handler(async () => void at.push(Date.now()), { queue: 'timed' }),
    );
    const begin = Date.now();
    await add(...[1, 2, 3, 4, 5, 6].map((n) => job(n, undefined, 'slow')));
    await add(
      { ...job(7, undefined, 'timed'), notBefore: new Date(begin + 300) },
      { ...job(8, undefined, 'timed'), notBefore: new Date(begin + 700) },
    );
    await until(() => at.length === 2);
    expect((at[1] ?? 0) - begin).toBeGreaterThanOrEqual(690);
    expect((at[1] ?? 0) - begin).toBeLessThan(1_200);
  });

  it('lets a job that waits go before one that is just written', async () => {
    const ran: number[] = [];
    await start(
      handler(
        async (n) => {
          ran.push(n);
          await sleep(60);
        },
        { concurrency: 1 },
      ),
    );
    await add(job(1));
    await add(job(2));
    await until(() => ran.length === 1);
    for (let n = 3; n < 8; n += 1) {
      await add(job(n));
      await sleep(25);
    }
    await until(() => ran.length === 7);
    expect(ran).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('loses every connection at once and goes on; each job has its effect once', async () => {
    await database.run({ text: 'CREATE TABLE IF NOT EXISTS effect (n int)' });
    const write = (n: number): JobOutcome => ({
      kind: 'done',
      write: async (tx) => void (await tx.run({ text: 'INSERT INTO effect VALUES ($1)' }, [n])),
    });
    await start(
      handler(
        async (n) => {
          await sleep(20);
          return write(n);
        },
        { attemptsMax: 10 },
      ),
    );
    const wanted = Array.from({ length: 60 }, (_, n) => n);
    await add(...wanted.map((n) => job(n)));
    for (let round = 0; round < 3; round += 1) {
      await sleep(80);
      await database.run({
        text: 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      });
    }
    await until(async () => (await states()).length === 0, 20_000);
    const rows = await database.run<{ n: number }>({ text: 'SELECT n FROM effect ORDER BY n' });
    expect(rows.map((row) => row.n)).toEqual(wanted);
    const presences = await database.run({
      text: `SELECT 1 FROM pg_stat_activity WHERE application_name = 'prelim presence' AND datname = current_database()`,
    });
    expect(presences).toHaveLength(1);
  });

  it('waits seconds, not a minute, where connections were lost at the end of a job and again at writing so', async () => {
    await add(job(1));
    let losses = 2;
    const losing: Database = Object.assign(Object.create(database), {
      transaction: (...given: Parameters<Database['transaction']>) => {
        losses -= 1;
        return losses >= 0 ? Promise.reject(lost()) : database.transaction(...given);
      },
      run: (...given: Parameters<Database['run']>) => {
        const isEnd = given[0].name === 'outbox-wait' && losses > 0;
        if (isEnd) losses -= 1;
        return isEnd ? Promise.reject(lost()) : database.run(...given);
      },
    });
    const lost = () => new Failure('database.unavailable', 'lost');
    const [claimed] = await claimNext(database, 'q', 1, 1);
    const end = await runJob(
      losing,
      handler(async () => undefined),
      claimed as Job,
      GROUND.claim,
      log,
    );
    expect(end).toMatchObject({ kind: 'waits' });
    expect(end.kind === 'waits' && end.afterMs).toBeLessThan(2 * RETRY_DELAY_MS);
    expect(losses).toBe(0);
    expect(await states()).toEqual(['1 waiting']);
  });

  it('refuses to replay a job whose key is taken by a newer one, and replays nothing that is not dead', async () => {
    await add({ ...job(1), key: 'k' });
    await database.run({ text: `UPDATE outbox SET state = 'dead'` });
    const [dead] = await outbox.dead(database, 1);
    await add({ ...job(2), key: 'k' });
    const replay = (id: string) => database.transaction((tx) => outbox.replay(tx, id));
    await expect(replay(dead?.id ?? '')).rejects.toMatchObject({ code: 'job.not-dead' });
    expect(await replay(String(Number(dead?.id) + 1))).toBeNull();
    expect(await states()).toEqual(['1 dead', '2 waiting']);
  });
});

async function until(test: () => boolean | Promise<boolean>, withinMs = 8_000): Promise<void> {
  for (const end = Date.now() + withinMs; !(await test()); ) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await sleep(10);
  }
}
