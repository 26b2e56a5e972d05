import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { Failure } from '../../kernel/errors.ts';
import { type ZipEntry, zipDataStart, zipEntries } from './zip-entries.ts';

/** A file to import from, wherever it lies. */
export interface SourceFile {
  /** Its name, without folders. */
  readonly name: string;
  /** The folder it lies in, without those above; empty where that is not known. */
  readonly folder: string;
  bytes(): Promise<Readable>;
  /** Its text, UTF-8, in pieces. */
  text(): AsyncIterable<string>;
}

/** Enough for every release we know; a folder with more is not a release but a disk. */
export const SOURCE_FILES_MAX = 5_000;

/** The files of a release: one file, all files of a folder, or all in a zip archive. */
export async function sourceFiles(path: string): Promise<SourceFile[]> {
  const info = await stat(path).catch(() => null);
  if (!info) throw new Failure('terminology.import', 'There is no such file or folder.');
  if (info.isDirectory()) return filesIn(path);
  if (!/\.zip$/i.test(path)) return [fileAt(path)];
  const file = await open(path);
  try {
    return (await zipEntries(file)).map((entry) => fileInZip(path, entry));
  } finally {
    await file.close();
  }
}

async function filesIn(folder: string): Promise<SourceFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  if (files.length > SOURCE_FILES_MAX)
    throw new Failure(
      'terminology.import',
      `The folder has more than ${SOURCE_FILES_MAX} files. Name the release.`,
    );
  return files.map((entry) => fileAt(join(entry.parentPath, entry.name)));
}

function fileAt(path: string): SourceFile {
  return fileOf(path, async () => createReadStream(path, { highWaterMark: READ_BYTES }));
}

function fileInZip(path: string, entry: ZipEntry): SourceFile {
  return fileOf(entry.name, async () => {
    const start = await dataStart(path, entry);
    if (entry.size === 0) return Readable.from([]);
    const packed = createReadStream(path, { start, end: start + entry.size - 1, highWaterMark: READ_BYTES });
    if (entry.method === 0) return packed;
    const inflate = createInflateRaw({ chunkSize: READ_BYTES });
    packed.on('error', (error) => inflate.destroy(error));
    return packed.pipe(inflate);
  });
}

async function dataStart(path: string, entry: ZipEntry): Promise<number> {
  const file = await open(path);
  try {
    return await zipDataStart(file, entry);
  } finally {
    await file.close();
  }
}

function fileOf(path: string, bytes: () => Promise<Readable>): SourceFile {
  return {
    name: basename(path),
    folder: basename(dirname(path)),
    bytes,
    async *text() {
      const stream = await bytes();
      stream.setEncoding('utf8');
      yield* stream as AsyncIterable<string>;
    },
  };
}

const READ_BYTES = 262_144;

/** A line without its end. A longer one is no line of a table. */
export const LINE_CHARACTERS_MAX = 1_048_576;

export async function* linesOf(file: SourceFile): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of file.text()) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
    if (rest.length > LINE_CHARACTERS_MAX)
      throw new Failure(
        'terminology.import',
        'A line of the file is too long. Is it the file that was meant?',
      );
  }
  const last = rest.endsWith('\r') ? rest.slice(0, -1) : rest;
  if (last !== '') yield last;
}
