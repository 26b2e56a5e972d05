import type { FileHandle } from 'node:fs/promises';

/** Bytes gathered for one write: a socket gives 64 KB at a time, and each write is a trip to another thread. */
const WRITE_BYTES = 1024 * 1024;

/** Writes a body to a file as it arrives, in memory of about 1 MB whatever its size. Gives the number of bytes. */
export async function writeChunks(file: FileHandle, body: AsyncIterable<Uint8Array>): Promise<number> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  let total = 0;
  const flush = async () => {
    const data = Buffer.concat(gathered, bytes);
    gathered = [];
    bytes = 0;
    // `write` may write less than it was given.
    for (let done = 0; done < data.length; ) done += (await file.write(data, done)).bytesWritten;
  };
  for await (const chunk of body) {
    gathered.push(chunk);
    bytes += chunk.byteLength;
    total += chunk.byteLength;
    if (bytes >= WRITE_BYTES) await flush();
  }
  await flush();
  return total;
}
