import type { Client, Submittable } from 'pg';

/** Rows go on in pieces of this size. */
const PIECE_BYTES = 256 * 1024;
/** Pieces that wait for the reader; then PostgreSQL waits. */
const WAITING_MAX = 4;

/** The parts of a connection of `pg` that its types leave out. */
interface Wire {
  query(text: string): void;
  readonly stream: { pause(): void; resume(): void };
}

/** What COPY TO STDOUT gives, piece by piece, never more in memory than a few pieces. The number of rows is known at the end. */
export class CopyOut implements Submittable {
  rows = 0;
  private readonly waiting: Buffer[] = [];
  private piece = Buffer.allocUnsafe(PIECE_BYTES);
  private filled = 0;
  private ended = false;
  private error: Error | null = null;
  private wire: Wire | null = null;
  private wake: () => void = () => undefined;

  constructor(
    private readonly client: Client,
    private readonly text: string,
  ) {}

  async *pieces(): AsyncGenerator<Buffer> {
    this.client.query(this);
    for (;;) {
      const next = this.waiting.shift();
      if (next) {
        if (this.waiting.length < WAITING_MAX) this.wire?.stream.resume();
        yield next;
      } else if (this.ended) break;
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
    if (this.error) throw this.error;
  }

  submit(connection: unknown): void {
    this.wire = connection as Wire;
    this.wire.query(this.text);
  }

  /** The bytes lie in the buffer of the connection, which is used again. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.filled + chunk.length > this.piece.length) this.pass(Math.max(PIECE_BYTES, chunk.length));
    chunk.copy(this.piece, this.filled);
    this.filled += chunk.length;
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.rows = Number(/^COPY (\d+)$/.exec(text)?.[1] ?? 0);
  }

  handleError(error: Error): void {
    this.error = error;
    this.end();
  }

  handleReadyForQuery(): void {
    this.end();
  }

  private pass(nextBytes: number): void {
    if (this.filled > 0) this.waiting.push(this.piece.subarray(0, this.filled));
    this.piece = Buffer.allocUnsafe(nextBytes);
    this.filled = 0;
    if (this.waiting.length >= WAITING_MAX) this.wire?.stream.pause();
    this.wake();
  }

  private end(): void {
    this.pass(0);
    this.wire?.stream.resume();
    this.ended = true;
    this.wake();
  }
}
