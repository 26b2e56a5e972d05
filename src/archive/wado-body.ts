import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { StoredFile } from './archive.store.ts';

/** A read at a time: large enough that 500 KB slices need one, small enough for many readers at once. */
const READ_BYTES = 1024 * 1024;

export interface WadoBody {
  readonly contentType: string;
  /** Known beforehand, so that a client sees when an answer was cut off. */
  readonly bytes: number;
  readonly stream: Readable;
}

/** Instances as `multipart/related; type="application/dicom"` (PS3.18 8.7.3.2), read from disk as the client takes them. */
export function multipartBody(folder: string, files: readonly StoredFile[]): WadoBody {
  const boundary = randomUUID();
  const head = (file: StoredFile) =>
    `--${boundary}\r\nContent-Type: application/dicom; transfer-syntax=${file.transferSyntaxUid}\r\nContent-Length: ${file.bytes}\r\n\r\n`;
  const end = `--${boundary}--\r\n`;
  const bytes = files.reduce((sum, file) => sum + Buffer.byteLength(head(file)) + file.bytes + 2, end.length);
  async function* body() {
    for (const file of files) {
      yield Buffer.from(head(file));
      yield* createReadStream(join(folder, file.path), { highWaterMark: READ_BYTES });
      yield CRLF;
    }
    yield Buffer.from(end);
  }
  return {
    contentType: `multipart/related; type="application/dicom"; boundary=${boundary}`,
    bytes,
    stream: Readable.from(body(), { objectMode: false, highWaterMark: READ_BYTES }),
  };
}

export function singleBody(folder: string, file: StoredFile): WadoBody {
  return {
    contentType: `application/dicom; transfer-syntax=${file.transferSyntaxUid}`,
    bytes: file.bytes,
    stream: createReadStream(join(folder, file.path), { highWaterMark: READ_BYTES }),
  };
}

/** A JSON array out of texts that are JSON already. */
export function jsonArrayBody(texts: AsyncIterable<readonly string[]>): Readable {
  async function* body() {
    let separator = '[';
    for await (const some of texts) {
      for (const text of some) {
        yield separator + text;
        separator = ',';
      }
    }
    yield separator === '[' ? '[]' : ']';
  }
  return Readable.from(body(), { objectMode: false });
}

const CRLF = Buffer.from('\r\n');
