import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEIDENTIFICATION_KEY_BYTES, type Pseudonyms, pseudonymsOf } from '../dicom/deidentify-pseudonyms.ts';
import { Failure } from '../kernel/errors.ts';
import { makeFolder } from '../kernel/make-folder.ts';

/** What leaves is made with the newest key; what comes back may have been made with any. */
export interface DeidentificationKeys {
  readonly newest: Pseudonyms;
  /** Newest first. */
  readonly all: readonly Pseudonyms[];
}

/**
 * The site's keys in `<data>/keys/deidentification-key` (mode 0600), made on first use: one line of 64 hexadecimal digits each, the newest last.
 * A lost key cannot be made again, and a key that others read undoes every pseudonym. Throws `deidentify.key`.
 */
export async function deidentificationKeysIn(dataFolder: string): Promise<DeidentificationKeys> {
  const file = fileIn(dataFolder);
  const lines = (await readLines(file)) ?? (await makeFirst(file));
  const all = lines.map((line) => pseudonymsOf(Buffer.from(line, 'hex'))).reverse();
  const [newest] = all;
  if (newest === undefined) throw unusable(file, 'holds no key');
  return { newest, all };
}

/**
 * Adds a key: from now on the same patient, study and image get other pseudonyms, so nobody can join what was sent before with what is sent
 * after. The keys before stay, so that results of what was sent before still come back.
 */
export async function addDeidentificationKey(dataFolder: string): Promise<void> {
  const file = fileIn(dataFolder);
  const lines = await readLines(file);
  if (lines === null) {
    await makeFirst(file);
    return;
  }
  const partial = await writePartial(file, [...lines, newKey()]);
  await rename(partial, file);
}

const fileIn = (dataFolder: string): string => join(dataFolder, 'keys', 'deidentification-key');

const newKey = (): string => randomBytes(DEIDENTIFICATION_KEY_BYTES).toString('hex');

async function readLines(file: string): Promise<string[] | null> {
  const facts = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw unusable(file, 'cannot be read');
  });
  if (facts === null) return null;
  if ((facts.mode & 0o077) !== 0) throw unusable(file, 'may be read by others (mode 0600 is needed)');
  const lines = (await readFile(file, 'latin1').catch(() => '')).split('\n').filter((line) => line !== '');
  if (lines.length === 0 || !lines.every((line) => KEY.test(line)))
    throw unusable(file, 'is no list of keys (restore it from a back-up)');
  return lines;
}

const KEY = new RegExp(`^[0-9a-f]{${DEIDENTIFICATION_KEY_BYTES * 2}}$`);

/** Two processes that start together must end with one key: the file is linked whole into its place, or the other's is taken. */
async function makeFirst(file: string): Promise<string[]> {
  await makeFolder(dirname(file));
  const key = newKey();
  const partial = await writePartial(file, [key]);
  try {
    await link(partial, file);
    return [key];
  } catch (error) {
    const lines = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readLines(file) : null;
    if (lines === null) throw unusable(file, 'cannot be written');
    return lines;
  } finally {
    await rm(partial, { force: true });
  }
}

/** On the disk before anything made with it can leave. */
async function writePartial(file: string, lines: readonly string[]): Promise<string> {
  const partial = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const handle = await open(partial, 'wx', 0o600).catch(() => {
    throw unusable(file, 'cannot be written');
  });
  try {
    await handle.writeFile(`${lines.join('\n')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return partial;
}

const unusable = (file: string, what: string): Failure =>
  new Failure('deidentify.key', `The file ${file} ${what}.`);
