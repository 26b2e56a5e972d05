import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { MIGRATIONS } from '../../migrations/all.ts';
import { backUp } from '../../src/database/back-up.ts';
import { migrate, openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { restore } from '../../src/database/restore.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';

let folder: string;
const ends: (() => Promise<void>)[] = [];
beforeAll(async () => {
  await loadDefinitions();
  folder = await mkdtemp(join(tmpdir(), 'prelim-back-up-'));
  ends.push(() => rm(folder, { recursive: true, force: true }));
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

/** A database without a table, on the PostgreSQL of the test run. */
async function emptyDatabase(): Promise<string> {
  const template = inject('templateUrl');
  const name = `b_${randomBytes(6).toString('hex')}`;
  await query(template.replace('/prelim?', '/postgres?'), `CREATE DATABASE ${name} TEMPLATE template0`);
  return template.replace('/prelim?', `/${name}?`);
}

async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

async function open(url: string): Promise<{ database: Database; store: ResourceStore }> {
  const dataSource = await openDataSource(url, 4);
  ends.push(() => dataSource.destroy());
  await migrate(dataSource);
  const database = new Database(dataSource);
  return { database, store: new ResourceStore(database, { baseUrl: 'http://127.0.0.1' }) };
}

/** Every row of every table, and what its indexes and constraints are. */
async function everything(url: string): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  const tables = await query<{ name: string }>(
    url,
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'migrations' ORDER BY 1`,
  );
  for (const { name } of tables)
    all[name] = await query(url, `SELECT t::text AS row FROM ${name} t ORDER BY 1`);
  all['indexes'] = await query(
    url,
    `SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`,
  );
  all['constraints'] = await query(
    url,
    `SELECT conrelid::regclass::text AS name, contype, pg_get_constraintdef(oid) AS text FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f', 'u') ORDER BY 1, 2, 3`,
  );
  all['sequences'] = await query(
    url,
    `SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1`,
  );
  return all;
}

const ODD = 'tab\there, back\\slash, new\nline, \\N, \\., 😀 Müller';

/** A record with all that a back-up must keep: histories, deletions, search rows, a partition, sequences, files. */
async function filledRecord(): Promise<{ url: string; data: string }> {
  const url = await emptyDatabase();
  const { database, store } = await open(url);
  const write = (writes: Parameters<ResourceStore['write']>[1]) =>
    database.transaction((tx) => store.write(tx, writes));
  await write([
    { kind: 'create', resource: { resourceType: 'Patient', id: 'p1', name: [{ family: 'Müller' }] } },
    { kind: 'create', resource: { resourceType: 'Patient', id: 'p2' } },
    { kind: 'create', resource: { resourceType: 'Basic', id: 'b1', code: { text: ODD } } },
  ]);
  await write([
    {
      kind: 'update',
      resource: { resourceType: 'Patient', id: 'p1', active: true, name: [{ family: 'Müller' }] },
    },
  ]);
  await write([{ kind: 'delete', type: 'Patient', id: 'p2' }]);
  await query(
    url,
    `INSERT INTO outbox (queue, payload) VALUES ('kept', '{}');
     SELECT nextval('hl7_control_id');
     INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, state) VALUES
       (gen_random_uuid(), 'ris', 'l', 'P1', 'MSH', 'r1', 1, now(), 'waiting'), (gen_random_uuid(), 'ris', 'l', 'P2', 'MSH', 'r2', 1, now(), 'acknowledged');
     INSERT INTO terminology_system (url, version, concepts, case_sensitive, properties) VALUES ('http://x.example', '1', 0, true, '[]');
     CREATE TABLE terminology_list_1 (LIKE terminology_list INCLUDING STORAGE);
     CREATE INDEX ON terminology_list_1 (system);
     ALTER TABLE terminology_list ATTACH PARTITION terminology_list_1 FOR VALUES IN (1)`,
  );
  const data = await mkdtemp(join(folder, 'data-'));
  await mkdir(join(data, 'keys'), { mode: 0o700 });
  await writeFile(join(data, 'keys', 'signing-key.json'), '{"k":1}', { mode: 0o600 });
  await writeFile(join(data, 'keys', 'postgres-password'), 'of that cluster');
  await mkdir(join(data, 'archive', 'incoming'), { recursive: true });
  await mkdir(join(data, 'archive', 'ab'));
  await writeFile(join(data, 'archive', 'incoming', 'half.dcm'), 'half');
  await writeFile(join(data, 'archive', 'ab', '1.2.3.dcm'), randomBytes(700_000));
  await writeFile(join(data, 'archive', 'ab', 'empty.dcm'), '');
  return { url, data };
}

describe('a back-up', () => {
  let record: { url: string; data: string };
  let file: string;
  beforeAll(async () => {
    record = await filledRecord();
    file = join(folder, 'prelim.backup');
    await backUp(file, { ...record, archive: true });
  });

  const place = async () => ({ url: await emptyDatabase(), data: await mkdtemp(join(folder, 'restored-')) });

  it('gives back every row, index, constraint and number, and every file of the record', async () => {
    const to = await place();
    const counts = await restore(file, to);
    expect(counts.files).toBe(3);
    expect(await everything(to.url)).toEqual(await everything(record.url));
    for (const name of ['keys/signing-key.json', 'archive/ab/1.2.3.dcm', 'archive/ab/empty.dcm'])
      expect(await readFile(join(to.data, name))).toEqual(await readFile(join(record.data, name)));
    for (const name of ['keys/postgres-password', 'archive/incoming/half.dcm'])
      await expect(readFile(join(to.data, name))).rejects.toThrow('ENOENT');
    const { store, database } = await open(to.url);
    expect((await store.search('Patient', 'family=muller')).matches.map((one) => one.id)).toEqual(['p1']);
    expect((await store.read('Basic', 'b1'))?.parse()).toMatchObject({ code: { text: ODD } });
    await database.transaction((tx) =>
      store.write(tx, [{ kind: 'update', resource: { resourceType: 'Patient', id: 'p1' } }]),
    );
    expect((await store.read('Patient', 'p1'))?.versionId).toBe('3');
  }, 60_000);

  it('is readable by its owner alone, and never written over another file', async () => {
    const before = await readFile(file);
    await expect(backUp(file, { ...record, archive: true })).rejects.toMatchObject({
      code: 'backup.refused',
    });
    expect(await readFile(file)).toEqual(before);
    const { mode } = await import('node:fs/promises').then((fs) => fs.stat(file));
    expect(mode & 0o777).toBe(0o600);
  });

  it('that ends early, or had one byte changed, is refused before anything is written', async () => {
    const bytes = await readFile(file);
    const cut = join(folder, 'cut');
    const changed = join(folder, 'changed');
    const other = join(folder, 'other');
    await writeFile(cut, bytes);
    await truncate(cut, bytes.length - 40);
    bytes[bytes.length - 2_000] = (bytes[bytes.length - 2_000] ?? 0) ^ 1;
    await writeFile(changed, bytes);
    await writeFile(other, 'PGDMP something else');
    for (const wrong of [cut, changed, other]) {
      const to = await place();
      await expect(restore(wrong, to)).rejects.toMatchObject({ code: 'backup.invalid' });
      expect(await query(to.url, `SELECT 1 FROM pg_tables WHERE schemaname = 'public'`)).toEqual([]);
    }
  });

  it('is refused by a database that has rows, and by a data folder that has one of its files', async () => {
    const full = await emptyDatabase();
    await query(full, 'CREATE TABLE other (n int); INSERT INTO other VALUES (1)');
    await expect(restore(file, { ...(await place()), url: full })).rejects.toMatchObject({
      code: 'backup.refused',
    });
    const to = await place();
    await mkdir(join(to.data, 'keys'));
    await writeFile(join(to.data, 'keys', 'signing-key.json'), 'another');
    await expect(restore(file, to)).rejects.toMatchObject({ code: 'backup.refused' });
    expect(await readFile(join(to.data, 'keys', 'signing-key.json'), 'utf8')).toBe('another');
    expect(await query(to.url, `SELECT 1 FROM pg_tables WHERE schemaname = 'public'`)).toEqual([]);
  });

  it('of a newer version is refused; one of an older version is migrated', async () => {
    const newer = await emptyDatabase();
    await open(newer);
    await query(
      newer,
      `INSERT INTO migrations (timestamp, name) VALUES (9999999999999, 'Unknown9999999999999')`,
    );
    const ofNewer = join(folder, 'newer.backup');
    await backUp(ofNewer, { url: newer, data: folder, archive: false });
    await expect(restore(ofNewer, await place())).rejects.toThrow('newer version');

    const older = await emptyDatabase();
    const first = await openDataSource(older, 2, MIGRATIONS.slice(0, -1));
    await migrate(first).finally(() => first.destroy());
    await query(older, `INSERT INTO outbox (queue, payload) VALUES ('old', '{}')`);
    const ofOlder = join(folder, 'older.backup');
    await backUp(ofOlder, { url: older, data: folder, archive: false });
    const to = await place();
    await restore(ofOlder, to);
    expect(await query(to.url, 'SELECT name FROM migrations ORDER BY id')).toEqual(
      MIGRATIONS.map(({ name }) => ({ name })),
    );
    expect(await query(to.url, 'SELECT queue FROM outbox')).toEqual([{ queue: 'old' }]);
  }, 60_000);

  it('whose restore fails half-way leaves no rows and no files, and the next try succeeds', async () => {
    const to = await place();
    await mkdir(join(to.data, 'archive'));
    // What it must write under is no folder.
    await writeFile(join(to.data, 'archive', 'ab'), 'a file where a folder should be');
    await expect(restore(file, to)).rejects.toThrow();
    expect(await query(to.url, 'SELECT 1 FROM resource')).toEqual([]);
    await expect(readFile(join(to.data, 'keys', 'signing-key.json'))).rejects.toThrow('ENOENT');
    await rm(join(to.data, 'archive', 'ab'));
    expect((await restore(file, to)).files).toBe(3);
  }, 60_000);

  it('taken while others write is of one point in time', async () => {
    const { database, store } = await open(record.url);
    let writing = true;
    let made = 0;
    const writer = (async () => {
      for (; writing; made += 1)
        // Two in one transaction: a restore has both or neither.
        await database.transaction((tx) =>
          store.write(tx, [
            { kind: 'create', resource: { resourceType: 'Organization', id: `a${made}` } },
            { kind: 'create', resource: { resourceType: 'Location', id: `a${made}` } },
          ]),
        );
    })();
    const busy = join(folder, 'busy.backup');
    const before = made;
    await backUp(busy, { ...record, archive: true });
    writing = false;
    await writer;
    expect(made).toBeGreaterThan(before);
    const to = await place();
    await restore(busy, to);
    const rows = await query<{ n: number }>(
      to.url,
      `SELECT count(*)::int AS n FROM resource WHERE type IN ('Organization', 'Location') GROUP BY type`,
    );
    expect(new Set(rows.map((row) => row.n)).size).toBeLessThanOrEqual(1);
  }, 60_000);
});

it('a folder that cannot be written to is said at once, and leaves nothing', async () => {
  const closed = join(folder, 'is-a-file');
  await writeFile(closed, '');
  await chmod(closed, 0o400);
  await expect(
    backUp(join(closed, 'x.backup'), { url: inject('templateUrl'), data: folder, archive: false }),
  ).rejects.toMatchObject({ code: 'ENOTDIR' });
});
