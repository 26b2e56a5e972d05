import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataSource } from './data-source.ts';
import { Database } from './database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { EmbeddedWatch } from './embedded-watch.ts';

let folder: string;
const opened: { destroy(): Promise<void> }[] = [];
const started: EmbeddedPostgres[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-embedded-'));
  await chmod(folder, 0o755); // as root the database runs under another account, which must be able to enter
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.destroy().catch(() => undefined);
  for (const one of started.splice(0)) await one.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(folder);
  started.push(postgres);
  return postgres;
}

async function open(postgres: EmbeddedPostgres): Promise<Database> {
  const dataSource: DataSource = await openDataSource(postgres.url, 4);
  opened.push(dataSource);
  return new Database(dataSource);
}

const one = { text: 'SELECT 1 AS one' };
const answers = (database: Database) =>
  database.run(one).then(
    () => true,
    () => false,
  );

async function postmaster(): Promise<number> {
  return Number((await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

const unavailable = expect.objectContaining({ code: 'database.unavailable' });

describe('the embedded PostgreSQL', () => {
  it('that is killed ends what runs as database.unavailable, is started again, and the pool goes on', async () => {
    const postgres = await start();
    const database = await open(postgres);
    await database.run({ text: 'CREATE TABLE kept (n int)' });
    await database.run({ text: 'INSERT INTO kept VALUES (1)' });
    const lines: string[] = [];
    const watch = new EmbeddedWatch(
      postgres,
      pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) }),
    );
    try {
      let uncertain: boolean | null = null;
      const idle = database.transaction(async (tx) => {
        tx.afterRollback((may) => {
          uncertain = may;
        });
        await tx.run(one);
        process.kill(await postmaster(), 'SIGKILL');
        await sleep(300); // lost while no statement runs: nobody must hear of it as an uncaught error
        await tx.run(one);
      });
      await expect(idle).rejects.toEqual(unavailable);
      expect(uncertain).toBe(false);
      for (const end = Date.now() + 20_000; !(await answers(database)) && Date.now() < end; ) await sleep(50);
      expect(await database.run({ text: 'SELECT n FROM kept' })).toEqual([{ n: 1 }]);
      expect(await database.transaction((tx) => tx.run(one))).toEqual([{ one: 1 }]);
      // The database answers a moment before the watch says so.
      await expect.poll(() => lines.filter((line) => line.includes('started again')).length).toBe(1);
    } finally {
      await watch.stop();
    }
  });

  it('that is away is database.unavailable for statements and transactions; other errors stay what they are', async () => {
    const postgres = await start();
    const database = await open(postgres);
    await expect(database.run({ text: 'SELECT no_such_column' })).rejects.toMatchObject({ code: '42703' });
    await expect(
      database.transaction(async () => {
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
    await postgres.stop();
    await expect(database.run(one)).rejects.toEqual(unavailable);
    await expect(database.transaction((tx) => tx.run(one))).rejects.toEqual(unavailable);
    await start();
    expect(await database.run(one)).toEqual([{ one: 1 }]);
  });

  it('is stopped by the last that works with it, not by the first', async () => {
    const first = await start();
    const second = await start();
    const database = await open(second);
    await first.stop();
    expect(await database.run(one)).toEqual([{ one: 1 }]);
    await database.dataSource.destroy();
    await second.stop();
    expect(existsSync(join(folder, 'postgres', 'postmaster.pid'))).toBe(false);
  });

  it('is made once when two make it at the same time', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(second.url).toBe(first.url);
    const [a, b] = [await open(first), await open(second)];
    await a.run({ text: 'CREATE TABLE shared (n int)' });
    expect(await b.run({ text: 'SELECT n FROM shared' })).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.includes('making'))).toEqual([]);
  });
});
