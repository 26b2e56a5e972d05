import { once } from 'node:events';
import type { Client, Submittable } from 'pg';

interface Wire {
  query(text: string): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
  readonly stream: NodeJS.WritableStream & { readonly writableNeedDrain: boolean };
}

/** Runs COPY FROM STDIN with the bytes as they come. Gives the number of rows. */
export function copyIn(client: Client, text: string, bytes: AsyncIterable<Buffer>): Promise<number> {
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(text, bytes, resolve, reject));
  });
}

class CopyIn implements Submittable {
  private rows = 0;
  private error: Error | null = null;
  private source: Error | null = null;

  constructor(
    private readonly text: string,
    private readonly bytes: AsyncIterable<Buffer>,
    private readonly done: (rows: number) => void,
    private readonly fail: (error: Error) => void,
  ) {}

  submit(connection: unknown): void {
    (connection as Wire).query(this.text);
  }

  handleCopyInResponse(wire: Wire): void {
    this.pump(wire).then(
      () => wire.endCopyFrom(),
      (error: Error) => {
        this.source = error;
        wire.sendCopyFail('the data ended early');
      },
    );
  }

  private async pump(wire: Wire): Promise<void> {
    for await (const piece of this.bytes) {
      // After an error PostgreSQL throws away what comes: the rest is read to its end all the same, so that the reader is where the next part begins.
      if (this.error) continue;
      wire.sendCopyFromChunk(piece);
      if (wire.stream.writableNeedDrain)
        await Promise.race([once(wire.stream, 'drain'), once(wire.stream, 'close')]);
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.rows = Number(/^COPY (\d+)$/.exec(text)?.[1] ?? 0);
  }

  handleError(error: Error): void {
    this.error = error;
    this.fail(this.source ?? error);
  }

  handleReadyForQuery(): void {
    if (!this.error) this.done(this.rows);
  }
}
