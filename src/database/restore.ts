import { lstat, rm } from 'node:fs/promises';
import pg from 'pg';
import { MIGRATIONS } from '../../migrations/all.ts';
import { Failure } from '../kernel/errors.ts';
import {
  looseIndexesOf,
  MIGRATIONS_TABLE,
  migrationsOf,
  type Partition,
  type Table,
  tablesOf,
} from './back-up/catalogue.ts';
import { copyIn } from './back-up/copy-in.ts';
import { type Frame, readFrames } from './back-up/frames.ts';
import { placeOf, type RecordFile, writeRecordFile } from './back-up/record-files.ts';
import { BACK_UP_FORMAT, type BackUpCounts, type BackUpHeader, copyText, NO_LIMITS } from './back-up.ts';
import { connectionOf } from './connection-of.ts';
import { migrate, openDataSource } from './data-source.ts';

export interface RestoreOptions {
  /** Connection string of an empty database. */
  readonly url: string;
  /** The data folder; what the back-up has for `keys` and `archive` must not be there. */
  readonly data: string;
  readonly progress?: (what: string) => void;
}

/**
 * Puts a back-up into an empty database and an empty data folder. The file is read twice: first to its digest, so that nothing is begun with a damaged one. Then
 * the schema is made by the migrations that the back-up knows, the rows are loaded in one transaction, files are written, all is committed, and
 * newer migrations run. After a failure the database has no rows and the folder no files of it.
 *
 * @throws Failure `backup.invalid` for the file, `backup.refused` for the place
 */
export async function restore(file: string, options: RestoreOptions): Promise<BackUpCounts> {
  const header = await check(file, options);
  await checkEmpty(options.url, header);
  await makeSchema(options.url, header.migrations);
  const counts = await load(file, header, options);
  await makeSchema(options.url, null);
  return counts;
}

async function check(file: string, { data, progress }: RestoreOptions): Promise<BackUpHeader> {
  progress?.('reading the back-up to its digest');
  let header: BackUpHeader | null = null;
  for await (const frame of readFrames(file)) {
    if (header === null) header = headerOf(frame);
    else if (
      frame.kind === 'file' &&
      (await lstat(placeOf(data, frame.value as RecordFile)).catch(() => null))
    )
      throw new Failure(
        'backup.refused',
        'A file of the back-up is in the data folder already. Restore into a new folder (PRELIM_DATA).',
      );
  }
  if (!header) throw new Failure('backup.invalid', 'The file is no back-up of Prelim.');
  return header;
}

function headerOf(frame: Frame): BackUpHeader {
  const header = frame.kind === 'header' ? (frame.value as Partial<BackUpHeader>) : {};
  if (!Array.isArray(header.migrations) || !Array.isArray(header.tables) || !Array.isArray(header.sequences))
    throw new Failure('backup.invalid', 'The file is no back-up of Prelim.');
  const known = new Set<string>(MIGRATIONS.map(({ name }) => name));
  if (header.format !== BACK_UP_FORMAT || header.migrations.some((name) => !known.has(name)))
    throw new Failure(
      'backup.invalid',
      'The back-up was made by a newer version of Prelim. Restore it with that version or a newer one.',
    );
  return header as BackUpHeader;
}

/** Tables of a restore that failed may be there, without rows. */
async function checkEmpty(url: string, header: BackUpHeader): Promise<void> {
  await withClient(url, async (client) => {
    const known = new Set(header.migrations);
    const isOlder = (await migrationsOf(client)).every((name) => known.has(name));
    let isEmpty = isOlder;
    for (const { name } of isOlder ? await tablesOf(client) : []) {
      const { rows } = await client.query(`SELECT 1 FROM ${pg.escapeIdentifier(name)} LIMIT 1`);
      isEmpty &&= rows.length === 0 && name !== MIGRATIONS_TABLE;
    }
    if (!isEmpty)
      throw new Failure(
        'backup.refused',
        'The database is not empty. Restore into a new one: another PRELIM_DATA, or createdb.',
      );
  });
}

/** Null: all that there are. */
async function makeSchema(url: string, names: readonly string[] | null): Promise<void> {
  const wanted = MIGRATIONS.filter(({ name }) => names === null || names.includes(name));
  const dataSource = await openDataSource(url, 2, wanted);
  try {
    await migrate(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function load(file: string, header: BackUpHeader, options: RestoreOptions): Promise<BackUpCounts> {
  const written: string[] = [];
  try {
    return await withClient(options.url, async (client) => {
      // Large indexes are sorted in memory rather than on the disk. Rows that triggers keep beside others (`hl7_unacknowledged`) are in the back-up themselves.
      await client.query(
        `BEGIN; SET LOCAL maintenance_work_mem = '256MB'; SET LOCAL prelim.restoring = 'on'`,
      );
      const rebuild = await dropIndexes(client, header.tables);
      const counts = await loadParts(file, header, options, client, written);
      for (const { table, create } of rebuild) {
        options.progress?.(`indexes of ${table}`);
        await client.query(create);
      }
      for (const { name, partition } of header.tables) if (partition) await attach(client, name, partition);
      for (const { name, last } of header.sequences)
        if (last !== null)
          await client.query('SELECT setval($1::regclass, $2)', [pg.escapeIdentifier(name), last]);
      await client.query('COMMIT');
      await client.query('ANALYZE');
      return counts;
    });
  } catch (error) {
    for (const place of written) await rm(place, { force: true });
    throw error;
  }
}

async function dropIndexes(
  client: pg.Client,
  tables: readonly Table[],
): Promise<{ table: string; create: string }[]> {
  const dropped: { table: string; create: string }[] = [];
  for (const { name: table, partition } of tables) {
    if (partition) continue;
    for (const { name, create } of await looseIndexesOf(client, table)) {
      await client.query(`DROP INDEX ${pg.escapeIdentifier(name)}`);
      dropped.push({ table, create });
    }
  }
  return dropped;
}

async function loadParts(
  file: string,
  header: BackUpHeader,
  { data, progress }: RestoreOptions,
  client: pg.Client,
  written: string[],
): Promise<BackUpCounts> {
  const tables = new Map(header.tables.map((table) => [table.name, table]));
  const frames = readFrames(file);
  await frames.next();
  let [rows, files] = [0, 0];
  for (;;) {
    const { value: frame, done } = await frames.next();
    if (done) return { rows, files, bytes: 0 };
    if (frame.kind === 'table') {
      const table = tables.get((frame.value as { name: string }).name);
      if (!table)
        throw new Failure('backup.invalid', 'The back-up has a table that its header does not name.');
      progress?.(table.name);
      if (table.partition) await client.query(makePartition(table.name, table.partition));
      const part = new Part(frames);
      const loaded = await copyIn(client, copyText(table.name, table.columns, 'FROM STDIN'), part);
      if (loaded !== (part.end as { rows: number }).rows)
        throw new Failure(
          'backup.invalid',
          'A table of the back-up has another number of rows than it says.',
        );
      rows += loaded;
    } else if (frame.kind === 'file') {
      const place = placeOf(data, frame.value as RecordFile);
      written.push(place);
      await writeRecordFile(place, frame.value as RecordFile, new Part(frames));
      files += 1;
    }
  }
}

/** The data up to the end of a part. */
class Part implements AsyncIterable<Buffer> {
  end: unknown = null;

  constructor(private readonly frames: AsyncGenerator<Frame>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const { value: frame, done } = await this.frames.next();
      if (done) return;
      if (frame.kind !== 'data') {
        this.end = frame.value;
        return;
      }
      yield frame.bytes;
    }
  }
}

const makePartition = (name: string, { of }: Partition): string =>
  `CREATE TABLE ${pg.escapeIdentifier(name)} (LIKE ${pg.escapeIdentifier(of)} INCLUDING STORAGE)`;

/** Indexes come first, so that what the parent wants of a partition is there. */
async function attach(client: pg.Client, name: string, { of, bound, indexes }: Partition): Promise<void> {
  for (const create of indexes) {
    if (!INDEX.test(create)) throw new Failure('backup.invalid', 'The back-up has an index that is none.');
    await client.query(create);
  }
  if (!BOUND.test(bound)) throw new Failure('backup.invalid', 'The back-up has a partition that is none.');
  await client.query(
    `ALTER TABLE ${pg.escapeIdentifier(of)} ATTACH PARTITION ${pg.escapeIdentifier(name)} ${bound}`,
  );
}

/** One statement, and of the form that we make. */
const INDEX = /^CREATE (UNIQUE )?INDEX [^;]+$/;
const BOUND = /^FOR VALUES IN \(\d+\)$/;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...connectionOf(url), application_name: 'prelim restore', ...NO_LIMITS });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
