import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** For what is ours alone: keys, records, results. */
const OWN_ONLY = 0o700;
/** As a program of the system makes a folder: the umask decides. */
export const AS_UMASK_SAYS = 0o777;

/**
 * Makes a folder and those above it that are missing; one that is there stays as it is. As `mkdir` with `recursive`, which never comes back where a file
 * system answers ENOENT although the parent is there, as `/proc` does.
 *
 * @throws what the file system says, with its `code`
 */
export async function makeFolder(folder: string, mode = OWN_ONLY): Promise<void> {
  const path = resolve(folder);
  const fault = await faultOfMaking(path, mode);
  if (fault === null) return;
  if (fault.code !== 'ENOENT' || dirname(path) === path) throw fault;
  await makeFolder(dirname(path), mode);
  const again = await faultOfMaking(path, mode);
  if (again) throw again;
}

/** A file in the place of the folder shows at its first use. */
const faultOfMaking = (path: string, mode: number): Promise<NodeJS.ErrnoException | null> =>
  mkdir(path, { mode }).then(
    () => null,
    (error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? null : error),
  );
