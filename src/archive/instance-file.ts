import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InstanceUids } from '../dicom/read-instance-head.ts';
import { isUid } from '../dicom/uid.ts';
import { Failure } from '../kernel/errors.ts';

/** A file that has arrived and has no name yet. */
export interface IncomingFile {
  readonly path: string;
  readonly bytes: number;
  /** Over the bytes as stored. */
  readonly sha256: string;
  /** Does it begin as PS3.10 says: 128 bytes and "DICM"? */
  readonly part10: boolean;
}

const PREAMBLE_BYTES = 128;
const INCOMING = 'incoming';

/**
 * Writes a body to a temporary file; `syncIncoming` waits for the disk, so that several files can wait at once. The preamble
 * is zeroed: its 128 bytes mean nothing in DICOM, and with them a file could also be a program.
 */
export async function writeIncoming(folder: string, body: AsyncIterable<Buffer>): Promise<IncomingFile> {
  const path = join(folder, INCOMING, `${randomUUID()}.part`);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    let start: Buffer = Buffer.alloc(0);
    for await (const chunk of body) {
      let data = chunk;
      if (bytes < PREAMBLE_BYTES + 4) {
        start = Buffer.concat([start, chunk.subarray(0, PREAMBLE_BYTES + 4 - bytes)]);
        data = Buffer.from(chunk).fill(0, 0, Math.min(chunk.length, Math.max(0, PREAMBLE_BYTES - bytes)));
      }
      hash.update(data);
      await writeAll(file, data);
      bytes += data.length;
    }
    return {
      path,
      bytes,
      sha256: hash.digest('hex'),
      part10: start.toString('latin1', PREAMBLE_BYTES) === 'DICM',
    };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

export async function syncIncoming(incoming: IncomingFile): Promise<void> {
  await syncPath(incoming.path);
}

/** `<study>/<series>/<sop>.dcm`. The one place where UIDs become a path. */
export function instancePath(
  uids: Pick<InstanceUids, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>,
): string {
  const parts = [uids.studyInstanceUid, uids.seriesInstanceUid, uids.sopInstanceUid];
  if (!parts.every(isUid))
    throw new Failure('archive.bad-request', 'A UID has other characters than digits and dots.');
  return `${parts.join('/')}.dcm`;
}

/** Gives incoming files their names; returns when the names are on disk too. */
export async function moveIntoPlace(
  folder: string,
  files: readonly { readonly from: string; readonly to: string }[],
): Promise<void> {
  const series = new Set(files.map(({ to }) => dirname(to)));
  for (const name of series) await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  for (const { from, to } of files) await rename(from, join(folder, to));
  const studies = new Set([...series].map((name) => dirname(name)));
  for (const name of [...series, ...studies, '.']) await syncPath(join(folder, name));
}

export async function discardIncoming(files: readonly { readonly path: string }[]): Promise<void> {
  for (const { path } of files) await rm(path, { force: true });
}

/** Removes what a killed process left half written. Only while nothing else writes to the archive. */
export async function sweepIncoming(folder: string): Promise<number> {
  const names = await readdir(join(folder, INCOMING)).catch(() => []);
  for (const name of names) await rm(join(folder, INCOMING, name), { force: true });
  return names.length;
}

/** `write` may write less than it was given. */
async function writeAll(file: FileHandle, data: Buffer): Promise<void> {
  for (let done = 0; done < data.length; ) done += (await file.write(data, done)).bytesWritten;
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
