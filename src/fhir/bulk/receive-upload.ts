import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../../kernel/errors.ts';
import type { BulkFolder } from './bulk-folder.ts';

/**
 * Streams an NDJSON body to the job's folder and waits for the disk. Gives its size. Throws `fhir.too-large` above `bytesMax`, `fhir.invalid` for an
 * empty body or one that breaks off; then nothing of it stays.
 */
export async function receiveUpload(
  body: Readable,
  jobId: string,
  folder: BulkFolder,
  bytesMax: number,
): Promise<number> {
  await folder.make(jobId);
  const path = folder.uploadOf(jobId);
  let bytes = 0;
  try {
    const bounded = async function* (chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > bytesMax)
          throw new Failure('fhir.too-large', `An import may have ${bytesMax} bytes; send more than one.`);
        yield chunk;
      }
    };
    await pipeline(body, bounded, createWriteStream(path, { mode: 0o600 }));
    if (bytes === 0) throw new Failure('fhir.invalid', 'The import has an empty body.');
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
    return bytes;
  } catch (error) {
    await folder.remove(jobId);
    if (error instanceof Failure) throw error;
    const { code } = (error ?? {}) as { code?: unknown };
    if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE')
      throw new Failure('fhir.invalid', 'The body broke off; send it again.', { cause: error });
    throw error;
  }
}
