import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import type { FailureIssue } from '../../kernel/errors.ts';
import type { Manifest } from '../manifest.ts';
import { externalData } from './external-data.ts';
import { sniffFile } from './sniff-file.ts';

/** An ONNX file is one protobuf message, and those end at 2 GiB; larger weights are external. */
export const MODEL_FILE_BYTES_MAX = 2 ** 31 - 1;

/**
 * Reads the file a manifest names and compares it with its checksum; the same for external weights. A file with a wrong
 * checksum is not opened by anybody: it is not the file that was vouched for.
 */
export async function checkFile(
  folder: string,
  manifest: Manifest,
): Promise<{ path: string; faults: readonly FailureIssue[] }> {
  const path = resolve(folder, manifest.file.path);
  const size = await sizeOf(path);
  if (size === null)
    return {
      path,
      faults: [
        {
          at: '/file/path',
          text: 'there is no such file: put it there, or correct the path (from the manifest)',
        },
      ],
    };
  if (size > MODEL_FILE_BYTES_MAX)
    return { path, faults: [{ at: '/file/path', text: 'is larger than 2 GiB' }] };
  const bytes = await readFile(path);
  const faults: FailureIssue[] = [];
  const foreign = sniffFile(bytes);
  if (foreign !== null) faults.push({ at: '/file/path', text: foreign });
  const sum = createHash('sha256').update(bytes).digest('hex');
  if (sum !== manifest.file.sha256)
    faults.push({ at: '/file/sha256', text: `the file has the SHA-256 ${sum}` });
  if (foreign === null) faults.push(...(await externalFaults(dirname(path), manifest, externalData(bytes))));
  return { path, faults };
}

async function externalFaults(
  folder: string,
  manifest: Manifest,
  needed: readonly string[],
): Promise<FailureIssue[]> {
  const listed = manifest.file.external ?? [];
  const faults: FailureIssue[] = [];
  for (const name of needed) {
    if (isAbsolute(name) || relative(folder, resolve(folder, name)).startsWith('..')) {
      faults.push({
        at: '/file/external',
        text: `the file wants weights from outside its folder ("${name}")`,
      });
    } else if ((await sizeOf(resolve(folder, name))) === null) {
      faults.push({ at: '/file/external', text: `the weights "${name}" that the file names are missing` });
    } else if (!listed.some(({ path }) => path === name)) {
      faults.push({
        at: '/file/external',
        text: `list "${name}" here with its SHA-256: the file takes weights from it`,
      });
    }
  }
  for (const [i, { path, sha256 }] of listed.entries()) {
    if (!needed.includes(path)) faults.push({ at: `/file/external/${i}`, text: 'the file does not name it' });
    else if ((await sizeOf(resolve(folder, path))) !== null) {
      const sum = createHash('sha256')
        .update(await readFile(resolve(folder, path)))
        .digest('hex');
      if (sum !== sha256)
        faults.push({ at: `/file/external/${i}/sha256`, text: `the file has the SHA-256 ${sum}` });
    }
  }
  return faults;
}

async function sizeOf(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null);
  return found?.isFile() ? found.size : null;
}
