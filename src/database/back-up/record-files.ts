import { createReadStream } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../kernel/errors.ts';
import { makeFolder } from '../../kernel/make-folder.ts';

/** A file of the data folder, its path relative and with `/`. */
export interface RecordFile {
  readonly path: string;
  readonly mode: number;
}

/**
 * What of the data folder belongs to the record besides the database: keys and DICOM files. Not what is just coming in, and not the passwords of the
 * embedded database, which belongs to that one cluster.
 */
export const RECORD_FOLDERS = ['keys', 'archive'] as const;
const NOT_KEPT: ReadonlySet<string> = new Set([
  'keys/postgres-password',
  'keys/postgres-server-password',
  'archive/incoming',
]);

/** Every plain file, folder by folder: an archive may have millions, so they are not listed before. */
export async function* recordFiles(
  data: string,
  folders: readonly string[] = RECORD_FOLDERS,
): AsyncGenerator<RecordFile> {
  for (const folder of folders) yield* filesUnder(data, folder);
}

async function* filesUnder(data: string, path: string): AsyncGenerator<RecordFile> {
  if (NOT_KEPT.has(path)) return;
  const entries = await readdir(join(data, path), { withFileTypes: true }).catch(ifThere);
  for (const entry of entries ?? []) {
    const inside = `${path}/${entry.name}`;
    if (entry.isDirectory()) yield* filesUnder(data, inside);
    else if (entry.isFile() && !NOT_KEPT.has(inside)) {
      const info = await lstat(join(data, inside)).catch(ifThere);
      if (info) yield { path: inside, mode: info.mode & 0o777 };
    }
  }
}

/** Null for what went away between the look and now. */
function ifThere(error: { code?: string }): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** The bytes of a file; null when it is not there any more. */
export async function bytesOf(data: string, { path }: RecordFile): Promise<AsyncIterable<Buffer> | null> {
  const there = await lstat(join(data, path)).catch(ifThere);
  return there ? createReadStream(join(data, path), { highWaterMark: 256 * 1024 }) : null;
}

/** Where a file of a back-up goes. Throws `backup.invalid` for a path that leads elsewhere. */
export function placeOf(data: string, { path }: RecordFile): string {
  const parts = path.split('/');
  const isOurs = (RECORD_FOLDERS as readonly string[]).includes(parts[0] ?? '') && parts.length > 1;
  if (!isOurs || parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\\')))
    throw new Failure('backup.invalid', 'The back-up names a file outside the folders of the record.');
  return join(data, ...parts);
}

/** Writes a new file and waits for the disk. */
export async function writeRecordFile(
  place: string,
  { mode }: RecordFile,
  bytes: AsyncIterable<Buffer>,
): Promise<void> {
  await makeFolder(dirname(place));
  const handle = await open(place, 'wx', mode & 0o777);
  try {
    for await (const piece of bytes) await handle.writeFile(piece);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}
