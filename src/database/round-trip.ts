import type { Connection, FieldDef, PoolClient } from 'pg';
import utils from 'pg/lib/utils.js';
import { readInstant } from './read-instant.ts';
import { tripsUnderWay } from './silent-connections.ts';

/** A statement with its values. With a name it is prepared once per connection. */
export interface Bound {
  readonly statement: { readonly name?: string; readonly text: string };
  readonly values: readonly unknown[];
}

/**
 * Sends statements together and waits once: PostgreSQL's extended protocol (protocol-flow.html#PROTOCOL-FLOW-PIPELINING) with one Sync behind
 * them all. Without `BEGIN` among them they are one transaction; after one that fails the rest is not run. `pg` by itself sends one statement
 * at a time, and a system call with a process switch costs more than most of our statements.
 *
 * Named statements are prepared once per connection, and their columns are remembered with them. Gives the rows of each statement. Rejects with
 * the error of `pg`. `each` is told the rows of a statement when they are there, before the rest of the trip is over.
 */
export function roundTrip(
  client: PoolClient,
  bound: readonly Bound[],
  each: (rows: unknown[]) => void = ignore,
): Promise<unknown[][]> {
  return new Promise((resolve, reject) => {
    client.query(new RoundTrip(client, bound, { resolve, reject, each }) as never);
  });
}

const ignore = () => undefined;

interface Told {
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: unknown) => void;
  readonly each: (rows: unknown[]) => void;
}

interface Prepared {
  readonly name: string;
  readonly text: string;
  /** Null: not known yet. */
  shape: Shape | null;
}

/** What the rows of a statement are made of. */
interface Shape {
  readonly names: readonly string[];
  readonly readers: readonly RowReader[];
  /** A row has all its properties from the start: each that is added to an object costs a change of its form. */
  readonly empty: Readonly<Record<string, null>>;
}

/** The named statements that a connection has prepared. */
type Session = Map<string, Prepared>;

const sessions = new WeakMap<PoolClient, Session>();

type RowReader = (text: string) => unknown;

/** One round trip as the client's queue knows it (the interface that `pg-cursor` uses too). */
class RoundTrip {
  private readonly rows: unknown[][] = [];
  private readonly values: readonly (readonly unknown[])[];
  private prepared: readonly (Prepared | null)[] = [];
  private readonly fresh: Prepared[] = [];
  private readonly session: Session;
  private shape: Shape = NO_ROWS;
  private at = 0;
  private failed = false;

  constructor(
    readonly client: PoolClient,
    private readonly bound: readonly Bound[],
    private readonly told: Told,
  ) {
    this.session = sessions.get(client) ?? new Map<string, Prepared>();
    sessions.set(client, this.session);
    // A value that cannot be written throws here, before anything is on the wire.
    this.values = bound.map(({ values }) => values.map(utils.prepareValue));
  }

  /** Called by the client when it is this one's turn. */
  submit(connection: Connection): Error | null {
    // One buffer: `writev` of twenty pieces takes longer than to copy them.
    const pieces: Buffer[] = [];
    const wire = Object.create(connection, {
      stream: {
        value: { writable: connection.stream.writable, write: (piece: Buffer) => pieces.push(piece) },
      },
    }) as unknown as Wire;
    try {
      this.prepared = this.bound.map(({ statement }) => this.find(statement));
    } catch (error) {
      return error as Error;
    }
    for (const at of this.bound.keys()) this.write(wire, at);
    wire.sync();
    if (pieces.length > 0) connection.stream.write(Buffer.concat(pieces));
    tripsUnderWay.add(this);
    this.begin();
    return null;
  }

  private find({ name, text }: Bound['statement']): Prepared | null {
    if (name === undefined) return null;
    const known = this.session.get(name);
    if (known && known.text !== text) throw new Error(`two statements have the name ${name}`);
    return known ?? { name, text, shape: null };
  }

  private write(wire: Wire, at: number): void {
    const prepared = this.prepared[at] ?? null;
    const name = prepared?.name ?? '';
    const text = this.bound[at]?.statement.text ?? '';
    if (prepared === null) wire.parse({ name, text });
    else if (!this.session.has(name)) {
      // After an error nobody knows whether it was prepared. Closing what is not there is no error.
      wire.close({ type: 'S', name });
      wire.parse({ name, text });
      this.session.set(name, prepared);
      this.fresh.push(prepared);
    }
    wire.bind({ portal: '', statement: name, values: this.values[at] ?? [], binary: false });
    if (!prepared?.shape) wire.describe({ type: 'P', name: '' });
    wire.execute({ portal: '', rows: 0 });
  }

  /** Gets ready for the rows of the next statement. */
  private begin(): void {
    this.rows.push([]);
    this.shape = this.prepared[this.at]?.shape ?? NO_ROWS;
  }

  handleRowDescription({ fields }: { fields: readonly FieldDef[] }): void {
    this.shape = shapeOf(fields, this.client);
    const prepared = this.prepared[this.at];
    if (prepared) prepared.shape = this.shape;
  }

  handleDataRow({ fields: values }: { fields: readonly (string | null)[] }): void {
    const { names, readers, empty } = this.shape;
    const row: Record<string, unknown> = { ...empty };
    for (let at = 0; at < values.length; at++) {
      const value = values[at] ?? null;
      if (value !== null) row[names[at] as string] = (readers[at] as RowReader)(value);
    }
    this.rows[this.at]?.push(row);
  }

  handleCommandComplete(): void {
    const prepared = this.prepared[this.at];
    if (prepared) prepared.shape ??= NO_ROWS;
    this.told.each(this.rows[this.at] ?? []);
    this.at += 1;
    if (this.at < this.bound.length) this.begin();
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handlePortalSuspended(): void {
    // No limit of rows is ever sent.
  }

  handleCopyInResponse(connection: { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail('COPY has no place in a round trip');
  }

  handleCopyData(): void {
    // COPY TO gives nothing here.
  }

  handleError(error: unknown): void {
    this.failed = true;
    tripsUnderWay.delete(this);
    for (const { name } of this.fresh) this.session.delete(name);
    const current = this.prepared[this.at];
    // A plan that no longer fits its tables is made anew next time.
    if (current) this.session.delete(current.name);
    this.told.reject(error);
  }

  handleReadyForQuery(): void {
    tripsUnderWay.delete(this);
    if (!this.failed) this.told.resolve(this.rows);
  }
}

function shapeOf(fields: readonly FieldDef[], client: PoolClient): Shape {
  return {
    names: fields.map(({ name }) => name),
    readers: fields.map(({ dataTypeID }) => readerOf(client, dataTypeID)),
    empty: Object.fromEntries(fields.map(({ name }) => [name, null])),
  };
}

function readerOf(client: PoolClient, dataTypeID: number): RowReader {
  const reader = client.getTypeParser(dataTypeID, 'text') as RowReader;
  return dataTypeID === TIMESTAMPTZ ? (text) => readInstant(text, reader) : reader;
}

/** Its number in PostgreSQL's catalog. */
const TIMESTAMPTZ = 1184;

const NO_ROWS: Shape = { names: [], readers: [], empty: {} };

/** The messages that we send, as `pg` really takes them. */
interface Wire {
  parse(message: { name: string; text: string }): void;
  bind(message: { portal: string; statement: string; values: readonly unknown[]; binary: boolean }): void;
  describe(message: { type: 'P'; name: string }): void;
  execute(message: { portal: string; rows: number }): void;
  close(message: { type: 'S'; name: string }): void;
  sync(): void;
}
