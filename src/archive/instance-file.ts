import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InstanceUids } from '../dicom/read-instance-head.ts';
import { isUid } from '../dicom/uid.ts';
import { writeChunks } from '../dicom/write-chunks.ts';
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
    let start: Buffer = Buffer.alloc(0);
    async function* stored() {
      for await (const chunk of body) {
        const at = start.length;
        let data = chunk;
        if (at < PREAMBLE_BYTES + 4) {
          start = Buffer.concat([start, chunk.subarray(0, PREAMBLE_BYTES + 4 - at)]);
          data = Buffer.from(chunk).fill(0, 0, Math.min(chunk.length, Math.max(0, PREAMBLE_BYTES - at)));
        }
        hash.update(data);
        yield data;
      }
    }
    const bytes = await writeChunks(file, stored());
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

/** Removes what a killed process left half written; younger files may belong to another process that is receiving them. */
export async function sweepIncoming(folder: string, now: Date): Promise<number> {
  let removed = 0;
  for (const name of await readdir(join(folder, INCOMING)).catch(() => [])) {
    const path = join(folder, INCOMING, name);
    const found = await stat(path).catch(() => null);
    if (found === null || now.getTime() - found.mtimeMs < INCOMING_KEPT_MS) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

/** No sender takes longer for one instance. */
export const INCOMING_KEPT_MS = 3_600_000;

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
