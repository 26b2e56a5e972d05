import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { migrate, openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { type DebianPostgres, debianPostgres, startDebianPostgres } from '../peers/debian-postgres.ts';
import { describeWithPeer } from '../peers/required.ts';

const bin = debianPostgres();

describeWithPeer(
  'back-up and restore by pg_dump and pg_restore',
  bin === null ? 'no PostgreSQL of the system with pg_dump' : null,
  () => {
    let postgres: DebianPostgres;
    let folder: string;
    const ends: (() => Promise<void>)[] = [];
    beforeAll(async () => {
      await loadDefinitions();
      folder = await mkdtemp(join(tmpdir(), 'prelim-dump-'));
      ends.push(() => rm(folder, { recursive: true, force: true }));
      postgres = await startDebianPostgres(bin ?? '');
      ends.push(() => postgres.stop());
      await create('before');
      await create('after');
    });
    afterAll(async () => {
      for (const end of ends.reverse()) await end();
    });

    async function create(name: string): Promise<void> {
      const client = new pg.Client({ connectionString: postgres.url('postgres') });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`).finally(() => client.end());
    }

    async function open(name: string): Promise<{ database: Database; store: ResourceStore }> {
      const dataSource = await openDataSource(postgres.url(name), 4);
      ends.push(() => dataSource.destroy());
      await migrate(dataSource);
      const database = new Database(dataSource);
      return { database, store: new ResourceStore(database, { baseUrl: 'http://127.0.0.1' }) };
    }

    it('gives back every row of every table, with histories, searches and the numbers that come next', async () => {
      const before = await open('before');
      await before.database.transaction((tx) =>
        before.store.write(tx, [
          { kind: 'create', resource: { resourceType: 'Patient', id: 'p1', name: [{ family: 'Müller' }] } },
          { kind: 'create', resource: { resourceType: 'Patient', id: 'p2' } },
        ]),
      );
      await before.database.transaction((tx) =>
        before.store.write(tx, [
          {
            kind: 'update',
            resource: { resourceType: 'Patient', id: 'p1', active: true, name: [{ family: 'Müller' }] },
          },
        ]),
      );
      await before.database.transaction((tx) =>
        before.store.write(tx, [{ kind: 'delete', type: 'Patient', id: 'p2' }]),
      );
      await before.database.run({ text: `INSERT INTO outbox (queue, payload) VALUES ('kept', '{}')` });
      const file = join(folder, 'prelim.dump');
      await postgres.tool('pg_dump', ['--format=custom', `--file=${file}`, 'before']);
      await postgres.tool('pg_restore', ['--exit-on-error', '--no-owner', '--dbname=after', file]);

      const after = await open('after');
      const contained = await contents(before.database);
      expect(contained['resource']).toMatchObject({ rows: 2, digest: expect.any(String) });
      expect(await contents(after.database)).toEqual(contained);
      const read = await after.store.read('Patient', 'p1');
      expect(read?.json).toBe((await before.store.read('Patient', 'p1'))?.json);
      expect((await after.store.read('Patient', 'p2'))?.deleted).toBe(true);
      expect((await after.store.readVersion('Patient', 'p1', 1))?.parse()).toMatchObject({ id: 'p1' });
      const found = await after.store.search('Patient', 'family=muller');
      expect(found.matches.map((one) => one.id)).toEqual(['p1']);
      const next = async ({ database }: { database: Database }) =>
        (
          await database.run<{ id: string }>({
            text: `INSERT INTO outbox (queue, payload) VALUES ('next', '{}') RETURNING id`,
          })
        )[0]?.id;
      expect(await next(after)).toBe(await next(before));
      await after.database.transaction((tx) =>
        after.store.write(tx, [{ kind: 'update', resource: { resourceType: 'Patient', id: 'p1' } }]),
      );
      expect((await after.store.read('Patient', 'p1'))?.versionId).toBe('3');
    }, 60_000);

    it('a dump taken while others write is of one point in time', async () => {
      const { database, store } = await open('before');
      let writing = true;
      let written = 0;
      const writer = (async () => {
        for (; writing; written += 1) {
          // Two in one transaction: a restore has both or neither.
          await database.transaction((tx) =>
            store.write(tx, [
              { kind: 'create', resource: { resourceType: 'Organization', id: `a${written}` } },
              { kind: 'create', resource: { resourceType: 'Location', id: `a${written}` } },
            ]),
          );
        }
      })();
      await vi.waitUntil(() => written > 0);
      const file = join(folder, 'busy.dump');
      await postgres.tool('pg_dump', ['--format=custom', `--file=${file}`, 'before']);
      writing = false;
      await writer;
      await create('busy');
      await postgres.tool('pg_restore', ['--exit-on-error', '--no-owner', '--dbname=busy', file]);
      const restored = await open('busy');
      const rows = await restored.database.run<{ type: string; n: number }>({
        text: `SELECT type, count(*)::int AS n FROM resource WHERE type IN ('Organization', 'Location') GROUP BY type`,
      });
      expect(new Set(rows.map((row) => row.n)).size).toBe(1);
    }, 60_000);
  },
);

/** Of every table how many rows, and what they say. */
async function contents(database: Database): Promise<Record<string, unknown>> {
  const tables = await database.run<{ name: string }>({
    text: `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
  });
  const found: Record<string, unknown> = {};
  for (const { name } of tables) {
    const [row] = await database.run({
      text: `SELECT count(*)::int AS rows, md5(string_agg(t::text, chr(10) ORDER BY t::text)) AS digest FROM ${name} t`,
    });
    found[name] = row;
  }
  return found;
}
