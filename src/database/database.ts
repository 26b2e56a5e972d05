import { Injectable } from '@nestjs/common';
import type { ClientConfig, Pool, PoolClient } from 'pg';
import { DataSource } from 'typeorm';
import { asFailure } from './connection-failure.ts';

/** One SQL statement. A name makes it a prepared statement, planned once per connection; leave it out for text built on the fly. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** Where statements run: the pool (each on its own) or one transaction. */
export interface Sql {
  run<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

export interface Transaction extends Sql {
  /** Called once, after the commit; never when the transaction rolls back. Must not throw. */
  afterCommit(then: () => void): void;
  /**
   * Called once, after a roll-back, to give back what was reserved in memory. Must not throw. `uncertain`: the connection was lost while
   * committing, so the database may hold the commit all the same.
   */
  afterRollback(then: (uncertain: boolean) => void): void;
}

export interface TransactionOptions {
  /**
   * `false`: the commit does not wait for the disk. Only for work whose loss in a crash of the *database machine* is repaired
   * by doing it again (progress between two steps); never before something outside was promised. A crash of this
   * process loses nothing either way.
   */
  readonly durable?: boolean;
}

/**
 * The door to PostgreSQL: hot statements as SQL on TypeORM's pool. A database that is away is `database.unavailable`, whatever `pg` calls it; the
 * pool drops the broken connections and opens new ones by itself.
 */
@Injectable()
export class Database implements Sql {
  private readonly pool: Pool;

  constructor(readonly dataSource: DataSource) {
    this.pool = (dataSource.driver as unknown as { master: Pool }).master;
  }

  async run<Row>(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await asked(this.pool.query({ ...statement, values: values as unknown[] }));
    return result.rows as Row[];
  }

  /** For a connection outside the pool (LISTEN, advisory locks that live as long as the process). */
  connectionOptions(): ClientConfig {
    const { host, port, user, password, database, ssl } = this.pool.options as ClientConfig;
    return { host, port, user, password, database, ssl } as ClientConfig;
  }

  /** Runs `work` in one READ COMMITTED transaction. Commits when it returns, rolls back when it throws. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const client = await asked(this.pool.connect());
    // A client that is lent out has no listener of the pool: without one of ours a lost connection would end the process.
    client.on('error', ignore);
    const ends: Ends = { committed: [], rolledBack: [] };
    let broken: Error | undefined;
    let committing = false;
    let committed = false;
    try {
      await asked(client.query(options.durable === false ? BEGIN_NOT_DURABLE : 'BEGIN'));
      const result = await work(transactionOn(client, ends));
      committing = true;
      await asked(client.query('COMMIT'));
      committed = true;
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((lost: Error) => {
        broken = lost;
      });
      throw error;
    } finally {
      client.off('error', ignore);
      client.release(broken);
      if (committed) for (const call of ends.committed) call();
      else for (const call of ends.rolledBack) call(committing && broken !== undefined);
    }
  }
}

interface Ends {
  readonly committed: (() => void)[];
  readonly rolledBack: ((uncertain: boolean) => void)[];
}

const ignore = () => undefined;

/** Only what `pg` itself rejects with: an error of the work inside a transaction stays what it is. */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asFailure(error);
  }
}

const BEGIN_NOT_DURABLE = 'BEGIN; SET LOCAL synchronous_commit = off';

function transactionOn(client: PoolClient, ends: Ends): Transaction {
  return {
    async run<Row>(statement: Statement, values: readonly unknown[] = []) {
      const result = await asked(client.query({ ...statement, values: values as unknown[] }));
      return result.rows as Row[];
    },
    afterCommit: (call) => {
      ends.committed.push(call);
    },
    afterRollback: (call) => {
      ends.rolledBack.push(call);
    },
  };
}
