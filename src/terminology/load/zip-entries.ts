import type { FileHandle } from 'node:fs/promises';
import { Failure } from '../../kernel/errors.ts';

export interface ZipEntry {
  readonly name: string;
  /** 0: stored, 8: deflated. */
  readonly method: number;
  /** Bytes in the archive. */
  readonly size: number;
  /** Where its local header begins. */
  readonly header: number;
}

/** The directory of a large release is some 100 KB. */
export const ZIP_DIRECTORY_BYTES_MAX = 16_777_216;

/** The end of the directory stands in the last bytes, before a comment of 65,535 bytes at most. */
const END_BYTES_MAX = 65_557;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

/**
 * The files in a zip archive (PKWARE APPNOTE 4.3), by its directory. Archives above 4 GiB (zip64) and encrypted ones are refused: unpack
 * them and import the folder.
 */
export async function zipEntries(file: FileHandle): Promise<ZipEntry[]> {
  const { size } = await file.stat();
  const tail = await read(file, Math.max(0, size - END_BYTES_MAX), Math.min(size, END_BYTES_MAX));
  let at = tail.length - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at -= 1;
  if (at < 0) throw refused('It has no directory; is it complete?');
  const [bytes, start] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (start === 0xffffffff || bytes > ZIP_DIRECTORY_BYTES_MAX)
    throw refused('It is too large to be read packed.');
  return entriesOf(await read(file, start, bytes));
}

/** The bytes of an entry begin behind its local header, whose length differs from that of the directory. */
export async function zipDataStart(file: FileHandle, entry: ZipEntry): Promise<number> {
  const header = await read(file, entry.header, 30);
  if (header.length < 30 || header.readUInt32LE(0) !== LOCAL) throw refused('It is damaged.');
  return entry.header + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}

function entriesOf(directory: Buffer): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === ENTRY; ) {
    const [flags, method] = [directory.readUInt16LE(at + 8), directory.readUInt16LE(at + 10)];
    const [size, header] = [directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
    const nameBytes = directory.readUInt16LE(at + 28);
    const name = directory.toString('utf8', at + 46, at + 46 + nameBytes);
    if (flags & 1) throw refused('It is encrypted.');
    if (size === 0xffffffff || header === 0xffffffff) throw refused('It is too large to be read packed.');
    if (method !== 0 && method !== 8) throw refused('It is packed in a way that is not read here.');
    if (!name.endsWith('/')) entries.push({ name, method, size, header });
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

const refused = (why: string): Failure =>
  new Failure(
    'terminology.import',
    `The zip archive cannot be read. ${why} Unpack it and import the folder.`,
  );
