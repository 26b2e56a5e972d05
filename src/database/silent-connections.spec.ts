import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { startProxy } from '../../test/peers/frozen-proxy.ts';
import { connectionOf } from './connection-of.ts';
import { openDataSource } from './data-source.ts';
import { Database } from './database.ts';
import { tripsUnderWay, watchForSilence } from './silent-connections.ts';

let fresh: Awaited<ReturnType<typeof freshDatabase>>;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.close());

async function behindProxy() {
  const { host, port, user, password, database: name } = connectionOf(fresh.url);
  const proxy = await startProxy({ path: `${host}/.s.PGSQL.${port}` });
  const url = `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}/${name}`;
  const dataSource = await openDataSource(url, 2);
  const { master: pool } = dataSource.driver as unknown as { master: Parameters<typeof watchForSilence>[0] };
  watchForSilence(pool, { lookMs: 100, silentMsMax: 500 });
  const close = async () => {
    await dataSource.destroy();
    proxy.close();
  };
  return { proxy, database: new Database(dataSource), close };
}

const ONE = { name: 'silent-spec-one', text: 'SELECT 1 AS one' };

it('a connection whose other end has gone without a word is given up, and the next statement has a new one', async () => {
  const { proxy, database, close } = await behindProxy();
  await Promise.all([database.run(ONE), database.run(ONE)]);
  proxy.freeze();
  const begun = performance.now();
  await expect(database.run(ONE)).rejects.toMatchObject({ code: 'database.unavailable' });
  await expect(database.transaction((tx) => tx.run(ONE))).rejects.toMatchObject({
    code: 'database.unavailable',
  });
  expect(await database.run(ONE)).toEqual([{ one: 1 }]);
  proxy.freeze();
  await expect(database.run({ text: 'SELECT 1; SELECT 2' })).rejects.toMatchObject({
    code: 'database.unavailable',
  });
  // Frozen between two statements: the roll-back is not waited for either.
  const refused = new Error('the work was refused');
  const inTheMiddle = database.transaction(async (tx) => {
    await tx.run(ONE);
    proxy.freeze();
    throw refused;
  });
  await expect(inTheMiddle).rejects.toBe(refused);
  expect(performance.now() - begun).toBeLessThan(30_000);
  expect(await database.run(ONE)).toEqual([{ one: 1 }]);
  expect(tripsUnderWay.size).toBe(0);
  await close();
});

it('a statement that takes its time is waited for', async () => {
  const { database, close } = await behindProxy();
  expect(await database.run({ text: 'SELECT pg_sleep(2), 2 AS two' })).toMatchObject([{ two: 2 }]);
  expect(await database.run({ text: 'SELECT pg_sleep($1), 2 AS two' }, [2])).toMatchObject([{ two: 2 }]);
  await close();
});
