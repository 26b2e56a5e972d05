import { readFile } from 'node:fs/promises';
import { Failure } from '../kernel/errors.ts';

/**
 * The text of a file that holds a key or a secret of ours; null: it is not there.
 *
 * @throws Failure `data.unwritable` where it is there and cannot be read: another key in its place would end all that the first one signed
 */
export async function readKeyFile(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    const text = `${file} cannot be read (${code ?? 'unknown reason'}). Correct its owner and rights.`;
    throw new Failure('data.unwritable', text, { cause: error });
  }
}
