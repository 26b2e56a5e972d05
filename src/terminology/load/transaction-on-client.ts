import type { Client } from 'pg';
import type { Statement, Transaction } from '../../database/database.ts';

export interface ClientTransaction {
  readonly transaction: Transaction;
  /** Call before the commit. */
  settle(): Promise<void>;
  /** Call after the commit. */
  committed(): void;
}

/** An open transaction of a connection of our own, for those who take a `Transaction`. */
export function transactionOn(client: Client): ClientTransaction {
  const then: (() => void)[] = [];
  const ask = async <Row>({ name, text }: Statement, values: readonly unknown[] = []): Promise<Row[]> => {
    const config = name === undefined ? { text } : { name, text };
    return (await client.query({ ...config, values: [...values] })).rows as Row[];
  };
  // `pg` sends in order: what comes later waits for it by itself, and the commit asks how it went.
  const sent: Promise<unknown>[] = [];
  return {
    transaction: {
      run: ask,
      later: (statement, values) => {
        const answer = ask(statement, values);
        answer.catch(() => undefined);
        sent.push(answer);
      },
      afterCommit: (call) => {
        then.push(call);
      },
      // What was reserved in memory is of this process, which ends with a failed import.
      afterRollback: () => undefined,
    },
    settle: async () => {
      await Promise.all(sent);
    },
    committed: () => {
      for (const call of then) call();
    },
  };
}
