import { close, open, writev } from 'node:fs';
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

/**
 * Writes pieces that are all there to a file of their own, which only its owner may read. By callbacks: for small files the handles and promises of `node:fs/promises` cost the
 * main thread several times what the calls do.
 */
export function writePieces(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    open(path, 'w', 0o600, (failed, file) => {
      if (failed) {
        reject(failed);
        return;
      }
      const filled = pieces.filter((piece) => piece.byteLength > 0);
      writeRest(file, filled, (error) => {
        close(file, (unclosed) => {
          const first = error ?? unclosed;
          if (first) reject(first);
          else resolve();
        });
      });
    });
  });
}

function writeRest(file: number, pieces: readonly Uint8Array[], done: (error: Error | null) => void): void {
  if (pieces.length === 0) {
    done(null);
    return;
  }
  writev(file, pieces.slice(0, WRITE_PIECES_MAX), (error, written) => {
    if (error) done(error);
    else writeRest(file, after(pieces, written), done);
  });
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
