import { Injectable } from '@nestjs/common';
import type { ClientConfig, Pool, PoolClient } from 'pg';
import { DataSource } from 'typeorm';

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
  /** Called once, after a roll-back, to give back what was reserved in memory. Must not throw. */
  afterRollback(then: () => void): void;
}

export interface TransactionOptions {
  /**
   * `false`: the commit does not wait for the disk. Only for work whose loss in a crash of the *database machine* is repaired
   * by doing it again (progress between two steps); never before something outside was promised. A crash of this
   * process loses nothing either way.
   */
  readonly durable?: boolean;
}

/** The door to PostgreSQL: hot statements as SQL on TypeORM's pool. */
@Injectable()
export class Database implements Sql {
  private readonly pool: Pool;

  constructor(readonly dataSource: DataSource) {
    this.pool = (dataSource.driver as unknown as { master: Pool }).master;
  }

  async run<Row>(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.pool.query({ ...statement, values: values as unknown[] });
    return result.rows as Row[];
  }

  /** For a connection outside the pool (LISTEN, advisory locks that live as long as the process). */
  connectionOptions(): ClientConfig {
    const { host, port, user, password, database, ssl } = this.pool.options as ClientConfig;
    return { host, port, user, password, database, ssl } as ClientConfig;
  }

  /** Runs `work` in one READ COMMITTED transaction. Commits when it returns, rolls back when it throws. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const client = await this.pool.connect();
    const ends = { committed: [] as (() => void)[], rolledBack: [] as (() => void)[] };
    let broken: Error | undefined;
    let committed = false;
    try {
      await client.query(options.durable === false ? BEGIN_NOT_DURABLE : 'BEGIN');
      const result = await work(transactionOn(client, ends));
      await client.query('COMMIT');
      committed = true;
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((lost: Error) => {
        broken = lost;
      });
      throw error;
    } finally {
      client.release(broken);
      for (const call of committed ? ends.committed : ends.rolledBack) call();
    }
  }
}

interface Ends {
  readonly committed: (() => void)[];
  readonly rolledBack: (() => void)[];
}

const BEGIN_NOT_DURABLE = 'BEGIN; SET LOCAL synchronous_commit = off';

function transactionOn(client: PoolClient, ends: Ends): Transaction {
  return {
    async run<Row>(statement: Statement, values: readonly unknown[] = []) {
      const result = await client.query({ ...statement, values: values as unknown[] });
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
