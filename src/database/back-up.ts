import { rename, rm, stat } from 'node:fs/promises';
import pg from 'pg';
import { Failure } from '../kernel/errors.ts';
import { migrationsOf, type Sequence, sequencesOf, type Table, tablesOf } from './back-up/catalogue.ts';
import { CopyOut } from './back-up/copy-out.ts';
import { FrameWriter } from './back-up/frames.ts';
import { bytesOf, RECORD_FOLDERS, recordFiles } from './back-up/record-files.ts';
import { connectionOf } from './connection-of.ts';

/** Counts up with a change that an older restore would misread. */
export const BACK_UP_FORMAT = 1;

/** The first frame of a back-up. */
export interface BackUpHeader {
  readonly format: number;
  /** When the point in time of the database is (ISO). */
  readonly takenAt: string;
  readonly migrations: readonly string[];
  readonly tables: readonly Table[];
  readonly sequences: readonly Sequence[];
}

export interface BackUpOptions {
  /** Connection string of the database. */
  readonly url: string;
  /** The data folder. */
  readonly data: string;
  /** False: without DICOM files, which are backed up in another way. */
  readonly archive: boolean;
  /** Told after each table and each file. */
  readonly progress?: (what: string, done: BackUpCounts) => void;
}

export interface BackUpCounts {
  readonly rows: number;
  readonly files: number;
  /** Of the finished file. */
  readonly bytes: number;
}

/**
 * Writes the whole record into one file: every table as it was at one point in time (one repeatable-read transaction, so nobody waits for it), the
 * numbers that sequences give next, then keys and DICOM files. These come after the database: a file is never changed, and its row is
 * written after it, so every row has its file. The file appears under its name when it is whole and on the disk. Throws `backup.refused` when the name is taken.
 */
export async function backUp(file: string, options: BackUpOptions): Promise<BackUpCounts> {
  if (await stat(file).catch(() => null)) throw taken();
  const partial = `${file}.partial`;
  await rm(partial, { force: true });
  const writer = await FrameWriter.open(partial);
  try {
    const rows = await writeDatabase(writer, options);
    const files = await writeFiles(writer, options, rows);
    await writer.close();
    await rename(partial, file);
    return { rows, files, bytes: (await stat(file)).size };
  } catch (error) {
    await writer.abandon();
    await rm(partial, { force: true });
    throw error;
  }
}

const taken = (): Failure =>
  new Failure('backup.refused', 'There is a file of this name already. Name another one.');

async function writeDatabase(writer: FrameWriter, { url, progress }: BackUpOptions): Promise<number> {
  const client = new pg.Client({ ...connectionOf(url), application_name: 'prelim back-up', ...NO_LIMITS });
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const tables = await tablesOf(client);
    const header: BackUpHeader = {
      format: BACK_UP_FORMAT,
      takenAt: new Date().toISOString(),
      migrations: await migrationsOf(client),
      tables,
      sequences: await sequencesOf(client),
    };
    await writer.write({ kind: 'header', value: header });
    let rows = 0;
    for (const { name, columns } of tables) {
      await writer.write({ kind: 'table', value: { name } });
      const copy = new CopyOut(client, copyText(name, columns, 'TO STDOUT'));
      for await (const bytes of copy.pieces()) await writer.write({ kind: 'data', bytes });
      await writer.write({ kind: 'end', value: { rows: copy.rows } });
      rows += copy.rows;
      progress?.(name, { rows, files: 0, bytes: 0 });
    }
    await client.query('COMMIT');
    return rows;
  } finally {
    await client.end();
  }
}

/** Reading a large table takes longer than a statement of the server may, and so does writing its bytes to a slow disk. */
export const NO_LIMITS = { statement_timeout: 0, idle_in_transaction_session_timeout: 0 } as const;

export const copyText = (table: string, columns: readonly string[], end: string): string =>
  `COPY ${pg.escapeIdentifier(table)} (${columns.map(pg.escapeIdentifier).join(', ')}) ${end}`;

async function writeFiles(
  writer: FrameWriter,
  { data, archive, progress }: BackUpOptions,
  rows: number,
): Promise<number> {
  let files = 0;
  for await (const file of recordFiles(data, archive ? RECORD_FOLDERS : ['keys'])) {
    const bytes = await bytesOf(data, file);
    if (!bytes) continue;
    await writer.write({ kind: 'file', value: file });
    for await (const piece of bytes) await writer.write({ kind: 'data', bytes: piece });
    await writer.write({ kind: 'end', value: {} });
    files += 1;
    progress?.(file.path, { rows, files, bytes: 0 });
  }
  return files;
}
