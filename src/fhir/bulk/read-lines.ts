import type { FileHandle } from 'node:fs/promises';
import { RESOURCE_BYTES_MAX } from '../validate/parse-resource.ts';

/** Read at once for a batch: what 500 usual resources have. More would be read and parsed again, or only held. */
export const IMPORT_BATCH_BYTES = 1024 * 1024;
/** Read at once where a line is longer than a batch; a longer line is refused as too large. Above the largest resource, so that every one fits. */
export const IMPORT_READ_BYTES = 4 * 1024 * 1024;
/** Lines of one transaction: enough that a commit costs little each, few enough that others get their turn. */
export const IMPORT_BATCH_LINES = 500;

export interface NdjsonLine {
  /** From 1. */
  readonly number: number;
  /** Null: longer than a resource may be. */
  readonly bytes: Buffer | null;
  /** Where the next line begins. */
  readonly end: number;
}

const NEWLINE = 0x0a;

/**
 * The next lines of an NDJSON file from an offset that begins a line; empty at its end. Blank lines are given too: they count. A last line
 * needs no newline. In memory is never more than `IMPORT_READ_BYTES`.
 */
export async function readLines(
  handle: FileHandle,
  from: { offset: number; line: number },
  limit = IMPORT_BATCH_LINES,
): Promise<NdjsonLine[]> {
  const lines = await readWhole(handle, Buffer.allocUnsafe(IMPORT_BATCH_BYTES), from, limit);
  return lines ?? readLong(handle, Buffer.allocUnsafe(IMPORT_READ_BYTES), from, limit);
}

async function readLong(
  handle: FileHandle,
  buffer: Buffer,
  from: { offset: number; line: number },
  limit: number,
): Promise<NdjsonLine[]> {
  return (await readWhole(handle, buffer, from, limit)) ?? [await skipLine(handle, buffer, from)];
}

/** The lines that end within the buffer. Null: not even one does. */
async function readWhole(
  handle: FileHandle,
  buffer: Buffer,
  from: { offset: number; line: number },
  limit: number,
): Promise<NdjsonLine[] | null> {
  const filled = await fill(handle, buffer, from.offset);
  const lines: NdjsonLine[] = [];
  let start = 0;
  while (start < filled && lines.length < limit) {
    const newline = buffer.subarray(0, filled).indexOf(NEWLINE, start);
    const whole = newline !== -1 || filled < buffer.length;
    if (!whole) break;
    const stop = newline === -1 ? filled : newline;
    const end = from.offset + (newline === -1 ? filled : newline + 1);
    const isTooLong = stop - start > RESOURCE_BYTES_MAX + 1;
    lines.push({
      number: from.line + lines.length + 1,
      bytes: isTooLong ? null : buffer.subarray(start, stop),
      end,
    });
    start = end - from.offset;
  }
  return lines.length === 0 && filled > 0 ? null : lines;
}

async function fill(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** A line that does not fit the buffer: looked through to its end. */
async function skipLine(
  handle: FileHandle,
  buffer: Buffer,
  from: { offset: number; line: number },
): Promise<NdjsonLine> {
  for (let offset = from.offset; ; offset += buffer.length) {
    const filled = await fill(handle, buffer, offset);
    const newline = buffer.subarray(0, filled).indexOf(NEWLINE);
    if (newline !== -1) return { number: from.line + 1, bytes: null, end: offset + newline + 1 };
    if (filled < buffer.length) return { number: from.line + 1, bytes: null, end: offset + filled };
  }
}
