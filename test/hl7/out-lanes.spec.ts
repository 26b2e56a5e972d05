import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { Failure } from '../../src/kernel/errors.ts';
import type { JobHandler } from '../../src/queue/job.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { Runner } from '../../src/queue/runner.ts';
import { freshDatabase } from '../database.ts';

const LANES = 8;
const EACH = 30;

let database: Database;
let close: () => Promise<void>;
const running: Runner[] = [];

beforeAll(async () => {
  ({ database, close } = await freshDatabase({ connections: 12 }));
  await database.run({ text: 'CREATE TABLE effect (n integer NOT NULL, lane text NOT NULL, at bigserial)' });
});
afterAll(() => close());
afterEach(async () => {
  for (const runner of running.splice(0)) await runner.stop();
  await database.run({ text: 'TRUNCATE outbox, effect' });
});

const fill = (outbox: Outbox, lanes: number, each: number) =>
  database.transaction((tx) =>
    outbox.add(
      tx,
      Array.from({ length: lanes * each }, (_unused, n) => ({
        queue: 'q',
        payload: { n },
        lane: `l${n % lanes}`,
      })),
    ),
  );

async function start(
  outbox: Outbox,
  more: Partial<JobHandler> = {},
  on: Database = database,
): Promise<{ inFlight: () => number }> {
  const open = new Map<string, number>();
  let most = 0;
  const handler: JobHandler = {
    queue: 'q',
    concurrency: LANES,
    attemptsMax: 3,
    endsTogether: true,
    run: async ({ payload, lane }) => {
      open.set(String(lane), (open.get(String(lane)) ?? 0) + 1);
      most = Math.max(most, open.get(String(lane)) ?? 0);
      await sleep(Math.random() * 3);
      open.set(String(lane), (open.get(String(lane)) ?? 0) - 1);
      const n = Number(payload['n']);
      return {
        kind: 'done',
        write: async (tx) => {
          await tx.run({ text: 'INSERT INTO effect (n, lane) VALUES ($1, $2)' }, [n, lane]);
        },
      };
    },
    ...more,
  };
  const runner = new Runner(on, outbox, [handler], pino({ level: 'silent' }));
  running.push(runner);
  await runner.start();
  return { inFlight: () => most };
}

const left = async () => (await database.run({ text: `SELECT 1 FROM outbox WHERE state <> 'dead'` })).length;
const effects = (lane: string) =>
  database.run<{ n: number }>({ text: 'SELECT n FROM effect WHERE lane = $1 ORDER BY at' }, [lane]);

async function expectAllOnceInOrder(lanes: number, each: number): Promise<void> {
  for (let lane = 0; lane < lanes; lane += 1) {
    const done = (await effects(`l${lane}`)).map(({ n }) => n);
    expect(done).toEqual(Array.from({ length: each }, (_unused, n) => n * lanes + lane));
  }
}

const lost = () =>
  new Failure('database.unavailable', 'The database does not answer.', {
    cause: new Error('Connection terminated unexpectedly'),
  });

describe('Lanes whose ends are written together', () => {
  it('keep their order, one at a time each, and every effect happens once', async () => {
    const outbox = new Outbox();
    await fill(outbox, LANES, EACH);
    const { inFlight } = await start(outbox);
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
    await expectAllOnceInOrder(LANES, EACH);
    expect(inFlight()).toBe(1);
  });

  it('share most of their commits when the receiver answers at once', async () => {
    const outbox = new Outbox();
    await fill(outbox, LANES, EACH);
    let groups = 0;
    const counted: Database = Object.create(database, {
      transaction: {
        value: (...args: Parameters<Database['transaction']>) => {
          groups += 1;
          return database.transaction(...args);
        },
      },
    });
    await start(outbox, { run: async () => ({ kind: 'done' }) }, counted);
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
    // Eight in each but where a lane makes room for others, and where the machine was busy elsewhere.
    expect(groups).toBeLessThan((LANES * EACH) / 3);
  });

  it('let other lanes come to their turn while one is long', async () => {
    const outbox = new Outbox();
    await fill(outbox, 1, 200);
    await fill(outbox, LANES * 3, 2);
    await start(outbox, { concurrency: 2 });
    await expect
      .poll(async () => (await database.run({ text: `SELECT 1 FROM effect WHERE lane <> 'l0'` })).length, {
        timeout: 30_000,
        interval: 5,
      })
      .toBeGreaterThan(10);
    expect((await effects('l0')).length).toBeLessThan(200);
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
  });

  it('are ended one by one when what one of them writes fails, and the others lose nothing', async () => {
    const outbox = new Outbox();
    await fill(outbox, LANES, 4);
    let failed = 0;
    await start(outbox, {
      run: async ({ payload, lane }) => ({
        kind: 'done',
        write: async (tx) => {
          const n = Number(payload['n']);
          await tx.run({ text: 'INSERT INTO effect (n, lane) VALUES ($1, $2)' }, [n, lane]);
          if (n === 3) {
            failed += 1;
            throw new Error('this one never can');
          }
        },
      }),
    });
    await expect.poll(left, { timeout: 40_000, interval: 50 }).toBe(0);
    expect(failed).toBeGreaterThan(1);
    const all = await database.run<{ n: number }>({ text: 'SELECT n FROM effect ORDER BY n' });
    expect(all.map(({ n }) => n)).toEqual(
      Array.from({ length: LANES * 4 }, (_unused, n) => n).filter((n) => n !== 3),
    );
  }, 60_000);

  it('stand still nowhere when the answer to a commit is lost', async () => {
    const outbox = new Outbox();
    await fill(outbox, LANES, EACH);
    let groups = 0;
    const losing: Database = Object.create(database, {
      transaction: {
        value: async (...args: Parameters<Database['transaction']>) => {
          const result = await database.transaction(...args);
          groups += 1;
          if (groups % 6 === 0 && groups < 20) throw lost();
          return result;
        },
      },
    });
    await start(outbox, {}, losing);
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
    expect(groups).toBeGreaterThan(18);
    await expectAllOnceInOrder(LANES, EACH);
  });

  it('leave the next of a lane to whoever comes after when the process stops', async () => {
    const outbox = new Outbox();
    await fill(outbox, 2, 40);
    await start(outbox);
    await sleep(60);
    for (const runner of running.splice(0)) await runner.stop();
    expect(await left()).toBeGreaterThan(0);
    await start(outbox);
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
    await expectAllOnceInOrder(2, 40);
  });
});
