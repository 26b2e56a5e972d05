import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { BullEngine, UNANSWERED_OFFERS_MAX } from '../../src/queue/bull-engine.ts';
import type { JobHandler } from '../../src/queue/job.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { Runner } from '../../src/queue/runner.ts';
import { freshDatabase } from '../database.ts';
import { startProxy } from '../peers/frozen-proxy.ts';
import { startRedis } from '../peers/redis.ts';

const log = pino({ level: 'silent' });
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

interface Engine {
  stop(): Promise<void>;
}
type Start = (database: Database, outbox: Outbox, handlers: JobHandler[]) => Promise<Engine>;

const inProcess: Start = async (database, outbox, handlers) => {
  const runner = new Runner(database, outbox, handlers, log);
  await runner.start();
  return runner;
};

describe('in this process', () => outboxKeepsItsPromises(() => inProcess));

describe.skipIf(!hasRedis)(`Bull on a real Redis${hasRedis ? '' : ' (skipped: no redis-server)'}`, () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  const onBull: Start = async (database, outbox, handlers) => {
    const engine = new BullEngine(
      database,
      outbox,
      handlers,
      placeOf(redis.url),
      log,
      `t${randomBytes(4).toString('hex')}`,
    );
    await engine.start({ work: true });
    return engine;
  };
  outboxKeepsItsPromises(() => onBull);

  it('a flushed Redis loses nothing', async () => {
    const { database, close } = await freshDatabase();
    const outbox = new Outbox();
    const ran: number[] = [];
    const slow: JobHandler = {
      queue: 'slow',
      concurrency: 1,
      attemptsMax: 3,
      run: async (job) => {
        await sleep(20);
        return { kind: 'done', write: async () => void ran.push(Number(job.payload['n'])) };
      },
    };
    const engine = await onBull(database, outbox, [slow]);
    const wanted = Array.from({ length: 30 }, (_, n) => n);
    await database.transaction((tx) =>
      outbox.add(
        tx,
        wanted.map((n) => ({ queue: 'slow', payload: { n } })),
      ),
    );
    await sleep(100);
    const client = new Redis(redis.url);
    await client.flushall();
    await client.quit();
    await until(() => ran.length >= 30, 20_000);
    expect([...ran].sort((a, b) => a - b)).toEqual(wanted);
    await engine.stop();
    await close();
  });

  it('a row is run whose id Redis holds in a job that nobody runs', async () => {
    const { database, close } = await freshDatabase();
    const outbox = new Outbox();
    const ran: string[] = [];
    const handler: JobHandler = {
      queue: 'held',
      concurrency: 1,
      attemptsMax: 3,
      run: async (job) => ({ kind: 'done', write: async () => void ran.push(job.id) }),
    };
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'held', payload: {} }]));
    const [row] = await database.run<{ id: string }>({ text: "SELECT id FROM outbox WHERE queue = 'held'" });
    const prefix = `t${randomBytes(4).toString('hex')}`;
    const client = new Redis(redis.url);
    const key = `${prefix}:held:${row?.id}-0`;
    // What is left when Redis is emptied between the taking of a job from its list and the note of when it began.
    await client.hset(key, 'processedOn', Date.now());
    const engine = new BullEngine(database, outbox, [handler], placeOf(redis.url), log, prefix);
    await engine.start({ work: true });
    await until(() => ran.length > 0, 20_000);
    expect(ran).toEqual([row?.id]);
    // Bull removes it when the handler has returned.
    await until(async () => (await client.exists(key)) === 0);
    await client.quit();
    await engine.stop();
    await close();
  });

  it('a Redis that is gone without a word is left for the one in its place', async () => {
    const { database, close } = await freshDatabase();
    const outbox = new Outbox();
    const ran: string[] = [];
    const handler: JobHandler = {
      queue: 'silent',
      concurrency: 1,
      attemptsMax: 3,
      run: async (job) => ({ kind: 'done', write: async () => void ran.push(job.id) }),
    };
    const proxy = await startProxy(placeOf(redis.url));
    const place = { host: '127.0.0.1', port: proxy.port, db: 0, socketTimeout: 2_000 };
    const engine = new BullEngine(
      database,
      outbox,
      [handler],
      place,
      log,
      `t${randomBytes(4).toString('hex')}`,
    );
    await engine.start({ work: true });
    const add = () => database.transaction((tx) => outbox.add(tx, [{ queue: 'silent', payload: {} }]));
    await add();
    await until(() => ran.length === 1);
    proxy.freeze();
    await add();
    await until(() => ran.length === 2, 20_000);
    await engine.stop();
    proxy.close();
    await close();
  });

  it('a Redis that falls silent while the server stops ends no job before its time', async () => {
    const { database, close } = await freshDatabase();
    const outbox = new Outbox();
    const begun: string[] = [];
    const ended: string[] = [];
    const handler: JobHandler = {
      queue: 'stopping',
      concurrency: 1,
      attemptsMax: 3,
      run: async (job) => {
        begun.push(job.id);
        // Longer than the silence that Redis is given up after.
        await sleep(3_000);
        return { kind: 'done', write: async () => void ended.push(job.id) };
      },
    };
    const proxy = await startProxy(placeOf(redis.url));
    const place = { host: '127.0.0.1', port: proxy.port, db: 0, socketTimeout: 1_000 };
    const prefix = `t${randomBytes(4).toString('hex')}`;
    const engine = new BullEngine(database, outbox, [handler], place, log, prefix);
    await engine.start({ work: true });
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'stopping', payload: {} }]));
    await until(() => begun.length === 1);
    proxy.freeze();
    // A promise that nobody looks at fails the run.
    await engine.stop();
    expect(ended).toEqual(begun);
    proxy.close();
    await close();
  });

  it('while Redis is away at most UNANSWERED_OFFERS_MAX offers wait for it', async () => {
    const { database, close } = await freshDatabase();
    const own = await startRedis();
    const outbox = new Outbox();
    const handler: JobHandler = {
      queue: 'away',
      concurrency: 1,
      attemptsMax: 3,
      run: async () => ({ kind: 'done' }),
    };
    const engine = new BullEngine(database, outbox, [handler], placeOf(own.url), log);
    await engine.start({ work: false });
    const client = new Redis(own.url);
    // Redis takes commands and answers none.
    await client.call('CLIENT', 'PAUSE', '3000', 'ALL');
    const offers = (count: number) =>
      engine.offer(
        Array.from({ length: count }, (_, n) => ({
          id: `${count}${n}`,
          queue: 'away',
          lane: null,
          notBefore: null,
          attempt: 0,
        })),
      );
    offers(UNANSWERED_OFFERS_MAX - 1);
    offers(1_000);
    await until(async () => (await client.llen('prelim:away:wait')) >= UNANSWERED_OFFERS_MAX, 20_000);
    offers(1);
    await until(async () => (await client.llen('prelim:away:wait')) > UNANSWERED_OFFERS_MAX, 20_000);
    expect(await client.llen('prelim:away:wait')).toBe(UNANSWERED_OFFERS_MAX + 1);
    client.disconnect();
    await engine.stop();
    await own.stop();
    await close();
  });
});

const placeOf = (url: string) => ({ host: '127.0.0.1', port: Number(new URL(url).port), db: 0 });

function outboxKeepsItsPromises(start: () => Start): void {
  let database: Database;
  let close: () => Promise<void>;
  let outbox: Outbox;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase({ connections: 10 }));
  });
  afterAll(() => close());
  beforeEach(() => {
    outbox = new Outbox();
  });

  it('runs a job after the commit of its cause, and finishes it with what it writes', async () => {
    await database.run({ text: 'CREATE TABLE IF NOT EXISTS effect (n int)' });
    await database.run({ text: 'TRUNCATE effect' });
    const handler: JobHandler = {
      queue: 'effect',
      concurrency: 4,
      attemptsMax: 3,
      run: async (job) => ({
        kind: 'done',
        write: async (tx) =>
          void (await tx.run({ text: 'INSERT INTO effect VALUES ($1)' }, [job.payload['n']])),
      }),
    };
    const engine = await start()(database, outbox, [handler]);
    await database.transaction((tx) =>
      outbox.add(
        tx,
        [1, 2, 3].map((n) => ({ queue: 'effect', payload: { n } })),
      ),
    );
    await until(async () => (await database.run({ text: 'SELECT 1 FROM outbox' })).length === 0);
    const rows = await database.run<{ n: number }>({ text: 'SELECT n FROM effect ORDER BY n' });
    expect(rows.map((row) => row.n)).toEqual([1, 2, 3]);
    await engine.stop();
  });

  it('writes and runs nothing when the cause is rolled back', async () => {
    let runs = 0;
    const engine = await start()(database, outbox, [
      handlerOf('rolled', async () => {
        runs += 1;
      }),
    ]);
    await expect(
      database.transaction(async (tx) => {
        await outbox.add(tx, [{ queue: 'rolled', payload: {} }]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'rolled', payload: {} }]));
    await until(() => runs > 0);
    await sleep(100);
    expect(runs).toBe(1);
    await engine.stop();
  });

  it('keeps the order within a lane while lanes run beside each other', async () => {
    const seen: Record<string, number[]> = { a: [], b: [] };
    let inFlight = 0;
    let together = 0;
    const handler = handlerOf('lanes', async (payload) => {
      inFlight += 1;
      together = Math.max(together, inFlight);
      await sleep(5 + Math.random() * 10);
      seen[String(payload['lane'])]?.push(Number(payload['n']));
      inFlight -= 1;
    });
    const engine = await start()(database, outbox, [{ ...handler, concurrency: 8 }]);
    for (let n = 0; n < 12; n += 1) {
      for (const lane of ['a', 'b']) {
        await database.transaction((tx) =>
          outbox.add(tx, [{ queue: 'lanes', lane: `lane-${lane}`, payload: { lane, n } }]),
        );
      }
    }
    await until(() => (seen['a']?.length ?? 0) + (seen['b']?.length ?? 0) === 24, 20_000);
    expect(seen['a']).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(seen['b']).toEqual(seen['a']);
    expect(together).toBe(2);
    await engine.stop();
  });

  it('writes one row for a key, and runs again when its cause comes while it runs', async () => {
    const runs: object[] = [];
    const handler = handlerOf('keyed', async (payload) => {
      runs.push(payload);
      await sleep(150);
    });
    const engine = await start()(database, outbox, [handler]);
    const add = (payload: object = {}) =>
      database.transaction((tx) => outbox.add(tx, [{ queue: 'keyed', key: 'k', payload }]));
    await Promise.all([add(), add(), add()]);
    await until(() => runs.length === 1);
    await sleep(40);
    await add({ seen: 'before', told: 1 });
    await Promise.all([add({ seen: 'after' }), add()]);
    await until(() => runs.length === 2, 8_000);
    await sleep(300);
    // What a cause knows is not lost with its row.
    expect(runs).toEqual([{}, { seen: 'after', told: 1 }]);
    expect(await database.run({ text: `SELECT 1 FROM outbox WHERE queue = 'keyed'` })).toEqual([]);
    await engine.stop();
  });

  it('a job whose write meets a newer version of what it read runs again and reads it, though nobody else may try such a write again', async () => {
    let runs = 0;
    const overtaken: JobHandler = {
      queue: 'overtaken',
      concurrency: 1,
      attemptsMax: 3,
      run: async () => {
        runs += 1;
        const write = async () => {
          if (runs === 1) throw new Failure('fhir.version-conflict', 'another version');
        };
        return { kind: 'done', write };
      },
    };
    const engine = await start()(database, outbox, [overtaken]);
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'overtaken', payload: {} }]));
    await until(() => runs === 2, 10_000);
    expect(await outbox.dead(database, 10)).toEqual([]);
    await engine.stop();
  }, 20_000);

  it('tries again after an error and buries the job with its reason when the attempts are used up', async () => {
    let runs = 0;
    const told: string[] = [];
    const handler: JobHandler = {
      queue: 'failing',
      concurrency: 1,
      attemptsMax: 2,
      run: async () => {
        runs += 1;
        throw new TypeError('Jane Doe');
      },
      buried: async (_job, why) => void told.push(why),
    };
    const engine = await start()(database, outbox, [handler]);
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'failing', payload: {} }]));
    // It is told inside the transaction that buries the job: the row is seen once that has committed.
    await until(async () => (await outbox.dead(database, 10)).length > 0, 10_000);
    expect(told).toHaveLength(1);
    const dead = await outbox.dead(database, 10);
    expect(runs).toBe(2);
    expect(dead.map((row) => row.reason)).toEqual(['TypeError']); // never the message: it may hold patient data
    await database.run({ text: 'DELETE FROM outbox' });
    await engine.stop();
  });

  it('does not run a job before its time', async () => {
    const at: number[] = [];
    const engine = await start()(database, outbox, [
      handlerOf('timed', async () => void at.push(Date.now())),
    ]);
    const notBefore = new Date(Date.now() + 300);
    await database.transaction((tx) => outbox.add(tx, [{ queue: 'timed', payload: {}, notBefore }]));
    await until(() => at.length > 0, 8_000);
    expect(at[0]).toBeGreaterThanOrEqual(notBefore.getTime() - 5);
    await engine.stop();
  });
}

describe('a process that is killed', () => {
  it('leaves its running job to the next one, and the job has its effect once', async () => {
    const { database, url, close } = await freshDatabase();
    await database.run({ text: 'CREATE TABLE effect (n int)' });
    const child = spawn(process.execPath, ['dist/test/queue/doomed-runner.js', url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await once(child.stdout, 'data');
    expect(String(said).trim()).toBe('running');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const outbox = new Outbox();
    const handler: JobHandler = {
      queue: 'doomed',
      concurrency: 1,
      attemptsMax: 3,
      run: async () => ({
        kind: 'done',
        write: async (tx) => void (await tx.run({ text: 'INSERT INTO effect VALUES (1)' })),
      }),
    };
    const runner = new Runner(database, outbox, [handler], log);
    await runner.start();
    await until(async () => (await database.run({ text: 'SELECT 1 FROM outbox' })).length === 0, 10_000);
    expect(await database.run({ text: 'SELECT n FROM effect' })).toEqual([{ n: 1 }]);
    await runner.stop();
    await close();
  });
});

const handlerOf = (
  queue: string,
  work: (payload: Readonly<Record<string, unknown>>) => Promise<void>,
): JobHandler => ({
  queue,
  concurrency: 2,
  attemptsMax: 3,
  run: async (job) => {
    await work(job.payload);
    return { kind: 'done' };
  },
});

async function until(test: () => boolean | Promise<boolean>, withinMs = 5_000): Promise<void> {
  for (const end = Date.now() + withinMs; !(await test()); ) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await sleep(10);
  }
}
