import type { Client, Submittable } from 'pg';

/** Rows wait for each other up to this size, then go to PostgreSQL in one COPY: less makes round trips, more makes memory. */
export const COPY_BATCH_BYTES = 1_048_576;

export type CopyValue = string | number | boolean | Uint8Array | null;

/** Writes rows into one table by COPY, batch by batch. `table` and `columns` are names from our own code, never from input. */
export class CopyRows {
  private lines: string[] = [];
  private characters = 0;

  constructor(
    private readonly client: Client,
    private readonly table: string,
    private readonly columns: readonly string[],
  ) {}

  async add(...values: readonly CopyValue[]): Promise<void> {
    const line = values.map(toText).join('\t');
    this.lines.push(line);
    this.characters += line.length + 1;
    if (this.characters >= COPY_BATCH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.lines.length === 0) return;
    const bytes = Buffer.from(`${this.lines.join('\n')}\n`);
    this.lines = [];
    this.characters = 0;
    const text = `COPY ${this.table} (${this.columns.join(', ')}) FROM STDIN`;
    await new Promise<void>((resolve, reject) => {
      this.client.query(new CopyIn(text, bytes, (error) => (error ? reject(error) : resolve())));
    });
  }
}

/** The text format of COPY. A NUL character cannot be stored and is left out. */
function toText(value: CopyValue): string {
  if (value === null) return '\\N';
  if (typeof value === 'string') return SPECIAL.test(value) ? value.replace(SPECIALS, escaped) : value;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value === 'number') return String(value);
  return `\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what COPY cannot take as they are
const SPECIAL = /[\\\t\n\r\x00]/;
const SPECIALS = new RegExp(SPECIAL, 'g');
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const escaped = (character: string): string => ESCAPES[character] ?? '';

/** What of a connection of `pg` a COPY needs; its types leave this part out. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
}

/** One COPY FROM STDIN in the query queue of a `pg` client. */
class CopyIn implements Submittable {
  constructor(
    private readonly text: string,
    private readonly bytes: Buffer,
    private readonly done: (error?: Error) => void,
  ) {}

  submit(connection: unknown): void {
    (connection as CopyConnection).query(this.text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.bytes);
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.done(error);
  }

  handleReadyForQuery(): void {
    this.done();
  }
}
