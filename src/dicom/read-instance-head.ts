import { open } from 'node:fs/promises';
import { Failure } from '../kernel/errors.ts';
import { elementsAllowed, type Part10, readPart10 } from './read-part10.ts';
import { isUid } from './uid.ts';

/**
 * So much is read of a file at first, then so much, then the whole. The header of a CT slice has some 10 KB, that of an MR with private
 * elements 200 KB, the functional groups of thousands of frames some megabytes. Reading half a megabyte of pixels into fresh memory costs ten times as much
 * as a header does.
 */
export const HEAD_BYTES = [64 * 1024, 1024 * 1024, 16 * 1024 * 1024] as const;

export interface InstanceUids {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
}

/**
 * The header of a Part 10 file, without reading the pixels of a large one. The bytes of what it gives are the file's head:
 * `pixelData` tells that there are pixels, not all of them. Throws as `readPart10` does.
 */
export async function readInstanceHead(path: string): Promise<Part10> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const elementsMax = elementsAllowed(size);
    for (const bytes of HEAD_BYTES) {
      const head = size > bytes ? readEnough(await bytesOf(file, bytes), elementsMax) : null;
      if (head !== null) return head;
    }
    return readPart10(await bytesOf(file, size), { stopBeforePixels: true, elementsMax });
  } finally {
    await file.close();
  }
}

/** The UIDs that say what an instance is. Throws `dicom.malformed` when one is missing or none. */
export function instanceUids(part10: Part10): InstanceUids {
  const uid = (tag: number) => {
    const value = part10.dataset.string(tag);
    if (!isUid(value))
      throw new Failure(
        'dicom.malformed',
        'A UID that tells study, series, instance or class is missing or no UID.',
      );
    return value;
  };
  return {
    studyInstanceUid: uid(0x0020000d),
    seriesInstanceUid: uid(0x0020000e),
    sopInstanceUid: uid(0x00080018),
    sopClassUid: uid(0x00080016),
    transferSyntaxUid: part10.transferSyntaxUid,
  };
}

export async function readInstanceUids(path: string): Promise<InstanceUids> {
  return instanceUids(await readInstanceHead(path));
}

/** The same of a file of `size` bytes in memory, or of its first 64 KB; null when its header is longer than `bytes`. */
export function instanceUidsIn(bytes: Buffer, size: number): InstanceUids | null {
  const elementsMax = elementsAllowed(size);
  if (bytes.length < size) {
    const head = readEnough(bytes, elementsMax);
    return head && instanceUids(head);
  }
  return instanceUids(readPart10(bytes, { stopBeforePixels: true, elementsMax }));
}

/** null when the head ends before the pixels: then elements may be missing without any sign of it. */
function readEnough(head: Buffer, elementsMax: number): Part10 | null {
  try {
    const part10 = readPart10(head, { elementsMax });
    return part10.pixelData === null ? null : part10;
  } catch (error) {
    // What is beyond a limit in its head is so as a whole, and that need not be read.
    if (error instanceof Failure && error.code === 'dicom.too-large') throw error;
    return null;
  }
}

async function bytesOf(file: Awaited<ReturnType<typeof open>>, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
