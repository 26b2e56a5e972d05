import { Injectable } from '@nestjs/common';
import pg, { type ClientConfig, type Pool, type PoolClient, type PoolConfig } from 'pg';
import { DataSource } from 'typeorm';
import { Failure } from '../kernel/errors.ts';
import type { AuditSink } from './audit-sink.ts';
import { asked, isUnavailable } from './connection-failure.ts';
import { type Bound, roundTrip } from './round-trip.ts';
import { stopAfter } from './run-within.ts';
import { SharedTrips } from './shared-trips.ts';
import { KEPT_ALIVE, watchedQuery, watchForSilence } from './silent-connections.ts';

/** One SQL statement. A name makes it a prepared statement, planned once per connection; leave it out for text built on the fly. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  /** Stopped after so long, in milliseconds, as `database.timeout`. Left out: `STATEMENT_MS_MAX` of the connection. */
  readonly timeoutMs?: number;
  /**
   * It only reads, and whatever its values takes less than a millisecond, as a rule: outside of transactions it goes with others that come at the same
   * time (`shared-trips.ts`). Means nothing without a name.
   */
  readonly brief?: boolean;
  /** Written for many rows: its nth parameter is an array with the nth value of each. Those that `later` gets one after the other go as one. */
  readonly manyRows?: boolean;
}

/** Where statements run: the pool (each on its own) or one transaction. */
export interface Sql {
  run<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

/** Statements on connections of their own; `end` closes them when nothing runs any more. */
export interface SqlApart extends Sql {
  end(): Promise<void>;
}

export interface Transaction extends Sql {
  /**
   * A statement whose rows nobody needs: it goes with the next one, or with the commit, and so costs no round trip. An error of it comes from
   * there. Nothing after it sees the database without it. Absent where statements can only go one by one.
   */
  later?(statement: Statement, values?: readonly unknown[]): void;
  /** The last statements: they go together with the commit, in one round trip. Gives the rows of each. Nothing may follow. Absent where there is no such way. */
  last?(...statements: readonly LastStatement[]): Promise<unknown[][]>;
  /** See `TransactionOptions.guessing`; left out: no. */
  readonly guessing?: boolean;
  /** Called once, after the commit; never when the transaction rolls back. Must not throw. */
  afterCommit(then: () => void): void;
  /**
   * Called once, after a roll-back, to give back what was reserved in memory. Must not throw. `uncertain`: the connection was lost while
   * committing, so the database may hold the commit all the same.
   */
  afterRollback(then: (uncertain: boolean) => void): void;
}

export interface LastStatement {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

export interface TransactionOptions {
  /**
   * `false`: the commit does not wait for the disk. Only for work whose loss in a crash of the *database machine* is repaired
   * by doing it again (progress between two steps); never before something outside was promised. A crash of this
   * process loses nothing either way.
   */
  readonly durable?: boolean;
  /**
   * `true`: a collision ends in another try, without this. A look that nearly always finds nothing may then be a statement that goes with the commit and
   * fails when there is something (`GUESS_FAILED_SQLSTATE`), for the next try to look in earnest. Left out: nobody tries again.
   */
  readonly guessing?: boolean;
}

/** A guess was wrong: division by zero, which none of our statements comes to otherwise (`SELECT 1 / (…)::int`). */
export const GUESS_FAILED_SQLSTATE = '22012';

/**
 * The door to PostgreSQL: hot statements as SQL on TypeORM's pool. A database that is away is `database.unavailable`, whatever `pg` calls it; the
 * pool drops the broken connections and opens new ones by itself.
 */
@Injectable()
export class Database implements Sql {
  /** Where accesses and changes are recorded; null where this process does not audit. */
  audit: AuditSink<Transaction> | null = null;
  private readonly pool: Pool;
  private readonly trips: SharedTrips;

  constructor(readonly dataSource: DataSource) {
    const { master: pool } = dataSource.driver as unknown as { master: Pool };
    this.pool = pool;
    watchForSilence(pool);
    this.trips = new SharedTrips(pool, ({ statement, values }, timeoutMs) =>
      runOn(pool, { ...statement, timeoutMs }, values),
    );
  }

  run<Row>(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    if (statement.brief && statement.name !== undefined)
      return this.trips.run({ statement, values }, statement.timeoutMs) as Promise<Row[]>;
    return runOn(this.pool, statement, values);
  }

  /** Connections that nobody else uses, opened when they are needed: what runs there waits for no search that holds the pool. */
  apart(connections: number): SqlApart {
    const { options } = this.pool as unknown as { options: PoolConfig };
    // `pg` hides the password from whoever copies its options.
    const pool = new pg.Pool({ ...options, password: options.password, max: connections });
    pool.on('error', ignore);
    return {
      run: (statement, values = []) => runOn(pool, statement, values),
      end: () => pool.end(),
    };
  }

  /** For a connection outside the pool (LISTEN, advisory locks that live as long as the process). */
  connectionOptions(): ClientConfig {
    const { host, port, user, password, database, ssl } = this.pool.options as ClientConfig;
    return { host, port, user, password, database, ssl, ...KEPT_ALIVE } as ClientConfig;
  }

  /**
   * Runs `work` in one READ COMMITTED transaction. Commits when it returns, rolls back when it throws. The first statement takes the connection and
   * brings `BEGIN` along; a transaction of nothing but `later` statements is those alone.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const ends: Ends = { committed: [], rolledBack: [] };
    const open = new OpenTransaction(this.pool, options.durable ?? true);
    let committed = false;
    let lost: Error | undefined;
    let refused: Error | undefined;
    try {
      const result = await work(transactionOn(open, ends, options.guessing ?? false));
      await open.commit();
      committed = true;
      return result;
    } catch (error) {
      lost = await open.rollback();
      // A connection to a database that takes no writes any more: the next one may lead to the one in its place.
      if (isUnavailable(error)) refused = error;
      throw error;
    } finally {
      await open.release(lost ?? refused);
      if (committed) for (const call of ends.committed) call();
      else for (const call of ends.rolledBack) call(open.committing && lost !== undefined);
    }
  }
}

async function runOn<Row>(pool: Pool, statement: Statement, values: readonly unknown[]): Promise<Row[]> {
  const client = await asked(pool.connect());
  client.on('error', ignore);
  const { timeoutMs } = statement;
  const watch = timeoutMs === undefined ? null : stopAfter(pool, client, timeoutMs);
  let lost: Error | undefined;
  try {
    const rows = await asked(sent(client, [{ statement, values }]));
    return rows as Row[];
  } catch (error) {
    if (isFailure(error)) lost = error;
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(watch?.end() ? true : lost);
  }
}

interface Ends {
  readonly committed: (() => void)[];
  readonly rolledBack: ((uncertain: boolean) => void)[];
}

const ignore = () => undefined;

const isFailure = (error: unknown): error is Failure => error instanceof Failure;

/** Rows of the last of the statements. Without name and values it may be several commands in one text, which only the simple protocol takes. */
async function sent(client: PoolClient, bound: readonly Bound[]): Promise<unknown[]> {
  const last = bound.at(-1);
  if (last && last.statement.name === undefined && last.values.length === 0) {
    if (bound.length > 1) await roundTrip(client, bound.slice(0, -1));
    return (await watchedQuery(client, last.statement.text)).rows;
  }
  return (await roundTrip(client, bound)).at(-1) ?? [];
}

/** A transaction that takes its connection and begins when it has to. */
class OpenTransaction {
  private client: Promise<PoolClient> | null = null;
  private begun = false;
  private waiting: Bound[] = [];
  /** The commit was sent, or is about to be. */
  committing = false;
  private over = false;

  constructor(
    private readonly pool: Pool,
    private readonly durable: boolean,
  ) {}

  later({ statement, values }: Bound & { readonly statement: Statement }): void {
    if (!statement.manyRows) {
      this.waiting.push({ statement, values });
      return;
    }
    const before = this.waiting.at(-1);
    if (before?.statement === statement) {
      for (const [at, value] of values.entries()) (before.values[at] as unknown[]).push(value);
    } else this.waiting.push({ statement, values: values.map((value) => [value]) });
  }

  /** As `run` and `commit` at once. */
  async last(bound: readonly Bound[]): Promise<unknown[][]> {
    this.committing = true;
    // Statements that go together without a BEGIN are one transaction.
    const alone = !this.begun && this.durable;
    const before = [...(alone ? [] : this.begin()), ...this.taken()];
    const all = [...before, ...bound, ...(alone ? [] : [COMMIT])];
    this.client ??= this.connect();
    const rows = await asked(roundTrip(await this.client, all));
    this.over = true;
    return rows.slice(before.length, before.length + bound.length);
  }

  run(bound: Bound): Promise<unknown[]> {
    return this.send([...this.begin(), ...this.taken(), bound]);
  }

  async commit(): Promise<void> {
    if (this.over) return;
    this.committing = true;
    const rest = this.taken();
    if (!this.begun && rest.length === 0) return;
    // Statements that go together without a BEGIN are one transaction, and wait for the disk like any other.
    const together = rest.length === 1 || rest.every(({ statement }) => statement.name !== undefined);
    if (!this.begun && together && this.durable) await this.send(rest);
    else await this.send([...this.begin(), ...rest, COMMIT]);
  }

  /** Gives the error when the connection is lost. */
  async rollback(): Promise<Error | undefined> {
    if (!this.client) return undefined;
    try {
      await watchedQuery(await this.client, 'ROLLBACK');
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  async release(lost: Error | undefined): Promise<void> {
    const client = await this.client?.catch(() => null);
    client?.off('error', ignore);
    client?.release(lost);
  }

  private begin(): readonly Bound[] {
    if (this.begun) return [];
    this.begun = true;
    return this.durable ? [BEGIN] : [BEGIN, NOT_DURABLE];
  }

  private taken(): Bound[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  private async send(bound: readonly Bound[]): Promise<unknown[]> {
    this.client ??= this.connect();
    return asked(sent(await this.client, bound));
  }

  private async connect(): Promise<PoolClient> {
    const client = await asked(this.pool.connect());
    // A client that is lent out has no listener of the pool: without one of ours a lost connection would end the process.
    client.on('error', ignore);
    return client;
  }
}

const alone = (name: string, text: string): Bound => ({ statement: { name, text }, values: [] });
const BEGIN = alone('begin', 'BEGIN');
const COMMIT = alone('commit', 'COMMIT');
const NOT_DURABLE = alone('not-durable', 'SET LOCAL synchronous_commit = off');

function transactionOn(open: OpenTransaction, ends: Ends, guessing: boolean): Transaction {
  return {
    guessing,
    run: async <Row>(statement: Statement, values: readonly unknown[] = []) =>
      (await open.run({ statement, values })) as Row[],
    later: (statement, values = []) => open.later({ statement, values }),
    last: (...statements) => open.last(statements),
    afterCommit: (call) => {
      ends.committed.push(call);
    },
    afterRollback: (call) => {
      ends.rolledBack.push(call);
    },
  };
}
