import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Statement } from '../../database/database.ts';

/** Rows of one step: a step holds its locks for milliseconds, and a replica or a back-up is not held up. */
export const RETENTION_ROWS_MAX = 500;
/** Bytes are dropped in smaller steps: each row of them may have 16 MiB of pages to free. */
export const RETENTION_LARGE_ROWS_MAX = 50;

export type LogTable = 'hl7_inbound' | 'hl7_outbound';

/**
 * Deletes what is over. Only messages that have ended: what waits, and what needs a person (held, rejected, given up, dead, unmade), stays however old it is.
 * Each call is one transaction that says `prelim.retention`, without which the log's trigger refuses.
 */
@Injectable()
export class RetentionStore {
  constructor(private readonly database: Database) {}

  /** The message types there are, by a walk over the index: a look per type, not per row. */
  async types(table: LogTable): Promise<string[]> {
    return (await this.database.run<{ type: string }>(TYPES[table])).map(({ type }) => type);
  }

  /** One step. Gives how many messages were deleted; fewer than `RETENTION_ROWS_MAX` when none is left. */
  deleteEnded(table: LogTable, type: string, days: number): Promise<number> {
    return this.retain(async (sql) => {
      const rows = await sql.run<{ id: string }>(DELETE[table], [type, days, RETENTION_ROWS_MAX]);
      if (table === 'hl7_outbound' && rows.length > 0)
        await sql.run(DELETE_ATTEMPTS, [rows.map(({ id }) => id)]);
      return rows.length;
    });
  }

  /** One step. Drops the bytes of large messages that have ended; the rows stay. */
  dropLarge(table: LogTable, bytes: number, days: number): Promise<number> {
    return this.retain(
      async (sql) => (await sql.run(DROP[table], [bytes, days, RETENTION_LARGE_ROWS_MAX])).length,
    );
  }

  /** One step. Operators' actions that are older than any message, and selections nobody can use any more. */
  deleteActions(days: number): Promise<number> {
    return this.retain(async (sql) => {
      await sql.run(DELETE_SELECTIONS);
      return (await sql.run(DELETE_ACTIONS, [days, RETENTION_ROWS_MAX])).length;
    });
  }

  private retain<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.database.transaction(
      async (tx) => {
        await tx.run(RETAIN);
        return work(tx);
      },
      { durable: false },
    );
  }
}

const RETAIN: Statement = {
  name: 'hl7-retention',
  text: `SELECT set_config('prelim.retention', 'on', true)`,
};

/** A loose index scan: types are few, rows are many. The bound is for senders that make up types. */
const typesOf = (table: LogTable): Statement => ({
  name: `hl7-retention-types-${table}`,
  text: `WITH RECURSIVE walk(type, n) AS (
      (SELECT message_type, 1 FROM ${table} ORDER BY message_type LIMIT 1)
      UNION ALL
      SELECT (SELECT m.message_type FROM ${table} m WHERE m.message_type > walk.type ORDER BY m.message_type LIMIT 1), n + 1
      FROM walk WHERE walk.type IS NOT NULL AND n < 1000)
    SELECT type FROM walk WHERE type IS NOT NULL`,
});
const TYPES = { hl7_inbound: typesOf('hl7_inbound'), hl7_outbound: typesOf('hl7_outbound') } as const;

const TIME = { hl7_inbound: 'received_at', hl7_outbound: 'created_at' } as const;
const ENDED = {
  hl7_inbound: `filing_outcome IN ('filed', 'refused')`,
  hl7_outbound: `state IN ('acknowledged', 'superseded', 'stopped', 'discarded')`,
} as const;

const deleteFrom = (table: LogTable): Statement => ({
  name: `hl7-retention-delete-${table}`,
  text: `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE message_type = $1
      AND ${TIME[table]} < now() - make_interval(days => $2) AND ${ENDED[table]}
      ORDER BY ${TIME[table]} LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id::text AS id`,
});
const DELETE = { hl7_inbound: deleteFrom('hl7_inbound'), hl7_outbound: deleteFrom('hl7_outbound') } as const;

/** The first condition on the size is that of the index. */
const dropFrom = (table: LogTable): Statement => ({
  name: `hl7-retention-drop-${table}`,
  text: `UPDATE ${table} SET raw = '', raw_dropped_at = now() WHERE id IN (SELECT id FROM ${table}
      WHERE octet_length(raw) >= 65536 AND octet_length(raw) >= $1 AND ${TIME[table]} < now() - make_interval(days => $2)
      AND ${ENDED[table]} ORDER BY ${TIME[table]} LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING 1`,
});
const DROP = { hl7_inbound: dropFrom('hl7_inbound'), hl7_outbound: dropFrom('hl7_outbound') } as const;

const DELETE_ATTEMPTS: Statement = {
  name: 'hl7-retention-attempts',
  text: 'DELETE FROM hl7_attempt WHERE message_id = ANY($1::uuid[])',
};
const DELETE_ACTIONS: Statement = {
  name: 'hl7-retention-actions',
  text: `DELETE FROM hl7_action WHERE id IN (SELECT id FROM hl7_action WHERE at < now() - make_interval(days => $1)
    ORDER BY at LIMIT $2) RETURNING 1`,
};
const DELETE_SELECTIONS: Statement = {
  name: 'hl7-retention-selections',
  text: `DELETE FROM hl7_selection WHERE created_at < now() - interval '1 day'`,
};
