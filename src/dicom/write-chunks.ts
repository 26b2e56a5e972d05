import type { FileHandle } from 'node:fs/promises';

/** Bytes gathered for one write: a socket gives 64 KB at a time, and each write is a trip to another thread. */
const WRITE_BYTES = 1024 * 1024;
/** Pieces of one write; Linux takes 1,024. */
const WRITE_PIECES_MAX = 512;

/** Writes a body to a file as it arrives, in memory of about 1 MB whatever its size. Gives the number of bytes. */
export async function writeChunks(
  file: FileHandle,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  let total = 0;
  const flush = async () => {
    const pieces = gathered;
    gathered = [];
    bytes = 0;
    await writeAll(file, pieces);
  };
  for await (const chunk of body) {
    gathered.push(chunk);
    bytes += chunk.byteLength;
    total += chunk.byteLength;
    if (bytes >= WRITE_BYTES || gathered.length >= WRITE_PIECES_MAX) await flush();
  }
  await flush();
  return total;
}

/** The pieces are not joined first: that would copy every byte of a study once more. */
async function writeAll(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  let left = pieces.filter((piece) => piece.byteLength > 0);
  while (left.length > 0) {
    const { bytesWritten } = await file.writev(left);
    left = after(left, bytesWritten);
  }
}

/** `writev` may write less than it was given. */
function after(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  return pieces.flatMap((piece) => {
    const taken = Math.min(skip, piece.byteLength);
    skip -= taken;
    return taken === piece.byteLength ? [] : [piece.subarray(taken)];
  });
}
