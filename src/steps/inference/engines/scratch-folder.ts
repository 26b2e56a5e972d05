import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `prelim-onnx-<process id of the server>-<random>` */
const PREFIX = 'prelim-onnx-';

/**
 * A folder only this user can read, in memory where the system offers it: pixels then never lie on a disk. Folders that a killed server
 * left behind are removed first.
 */
export function makeScratchFolder(parent: string = memoryFolder()): string {
  for (const name of readdirSync(parent).filter((one) => one.startsWith(PREFIX))) {
    if (!isAlive(Number(name.slice(PREFIX.length).split('-')[0])))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
}

/** Free bytes that make a memory folder worth using: the largest volume and its mask. A container has 64 MB unless told otherwise. */
const MEMORY_FREE_BYTES_MIN = 4 * 1024 ** 3;

function memoryFolder(): string {
  const shared = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(shared);
    return bavail * bsize >= MEMORY_FREE_BYTES_MIN ? shared : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Signal 0 only asks; EPERM: it lives and is another user's. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return true;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
