import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { elementsAllowed, type Part10, readPart10 } from '../src/dicom/read-part10.ts';
import { Failure } from '../src/kernel/errors.ts';

/** A file read into memory at once: the largest multi-frame objects have about a gigabyte. */
export const DICOM_FILE_BYTES_MAX = 2 ** 31 - 1;

/** Every file below a folder, in the order of `find <folder> -type f | LC_ALL=C sort`; null when there is no such folder. */
export async function filesBelow(folder: string): Promise<string[] | null> {
  if (!(await stat(folder).catch(() => null))?.isDirectory()) return null;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Throws `dicom.too-large` and what `readPart10` throws. */
export async function readDicomFile(path: string): Promise<Part10> {
  if ((await stat(path)).size > DICOM_FILE_BYTES_MAX)
    throw new Failure('dicom.too-large', `The file has more than ${DICOM_FILE_BYTES_MAX} bytes.`);
  const bytes = await readFile(path);
  return readPart10(bytes, { elementsMax: elementsAllowed(bytes.length) });
}

/** Would what is written to `out` be found among what is read from `folder`, or the other way round? */
export function overlap(folder: string, out: string): boolean {
  const path = relative(resolve(folder), resolve(out));
  const back = relative(resolve(out), resolve(folder));
  return !path.startsWith('..') || !back.startsWith('..');
}
