import type { Client } from 'pg';

/** Rows at once: some MB at most, and few round trips. */
export const CURSOR_ROWS = 10_000;

/** The rows of a query in bounded memory, inside an open transaction. Other statements may run on the client between two rows. */
export async function* readCursor<Row>(client: Client, query: string): AsyncGenerator<Row> {
  const name = `terminology_${++cursors}`;
  await client.query(`DECLARE ${name} NO SCROLL CURSOR FOR ${query}`);
  for (;;) {
    const { rows } = await client.query(`FETCH ${CURSOR_ROWS} FROM ${name}`);
    yield* rows as Row[];
    if (rows.length < CURSOR_ROWS) break;
  }
  await client.query(`CLOSE ${name}`);
}

let cursors = 0;
