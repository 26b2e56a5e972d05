import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Statement, type Transaction } from '../../database/database.ts';
import type { MessageBytes } from '../../hl7/message-bytes.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Cursor, Direction, MessageQuery } from './message-query.ts';
import { byteSql, bytesSql, listedSql, messageSql, pageSql, selectionSql } from './message-sql.ts';

/** A message in a list; `mrn` in the clear: the door masks it. */
export interface LoggedMessage {
  readonly direction: Direction;
  readonly id: string;
  readonly at: Date;
  readonly type: string;
  readonly control_id: string;
  /** In: MSH-3:MSH-4. Out: the destination. */
  readonly partner: string;
  readonly peer: string;
  readonly status: string;
  readonly reason: string | null;
  readonly mrn: string | null;
  readonly accession: string | null;
  readonly bytes: number;
  readonly flags: readonly string[];
  readonly repeats: number;
  /** When it was filed or acknowledged. */
  readonly ended_at: Date | null;
  readonly lane: string | null;
  readonly destination: string | null;
  readonly attempts: number;
  /** Its bytes were dropped by retention. */
  readonly dropped: boolean;
  /** Time with microseconds, for paging. */
  readonly place: string;
}

/** One message; the columns of the other direction are absent. Its bytes are read apart (`bytesOf`). */
export interface WholeMessage extends LoggedMessage {
  readonly ack: Buffer | null;
  readonly raw_dropped_at: Date | null;
  readonly outcome?: string;
  readonly filing_outcome?: string | null;
  /** Where filing found the fault, as ERR-2 says it. */
  readonly filing_location?: string;
  readonly report_id?: string;
  readonly report_version?: number;
  readonly revision?: number;
  readonly version_of?: string | null;
  readonly superseded_by?: string | null;
  readonly result_status?: string;
  readonly profile?: string;
  readonly profile_version?: string;
  readonly placer?: string;
  readonly sent_at?: Date | null;
}

export interface LoggedAttempt {
  readonly attempt: number;
  readonly started_at: Date;
  readonly ended_at: Date;
  readonly outcome: string;
  readonly error: string | null;
  readonly ack: Buffer | null;
}

export interface MessagePage {
  readonly messages: readonly LoggedMessage[];
  readonly next: Cursor | null;
}

export interface DeadGroup {
  readonly direction: Direction;
  readonly partner: string;
  readonly status: string;
  readonly reason: string;
  readonly messages: number;
  readonly oldest: Date;
  readonly newest: Date;
}

/** A search may take so long; a person waits for it. Beyond it `database.timeout` asks for a narrower one. */
export const SEARCH_MS_MAX = 10_000;
/** More groups are not read by anybody. */
const GROUPS_MAX = 200;
/** Attempts and versions shown of one message, newest last. A message that a RIS refuses for nine minutes has 25. */
const ATTEMPTS_SHOWN_MAX = 200;
/** Of the answer to each of them: an acknowledgement has some hundred bytes, and may have 256 KiB. */
export const ATTEMPT_ACK_BYTES_SHOWN_MAX = 4 * 1024;

/** Reads what `hl7_inbound`, `hl7_outbound` and `hl7_attempt` hold. The doors in front of it mask and log. */
@Injectable()
export class MessageLogStore {
  constructor(private readonly database: Database) {}

  /** One page, newest first, of one or of both directions. */
  async page(query: MessageQuery): Promise<MessagePage> {
    const directions: Direction[] = query.direction === null ? ['in', 'out'] : [query.direction];
    const pages = await Promise.all(
      directions.filter((one) => mayHold(one, query)).map((one) => this.pageOf(one, query)),
    );
    const all = pages.flat().sort((a, b) => newest(a, b));
    const messages = all.slice(0, query.limit);
    if (all.length <= query.limit) return { messages, next: null };
    const next: Cursor = { ...query.after };
    const ends = Object.fromEntries(messages.map((one) => [one.direction, [one.place, one.id] as const]));
    return { messages, next: { ...next, ...ends } };
  }

  private pageOf(direction: Direction, query: MessageQuery): Promise<LoggedMessage[]> {
    const { text, values } = pageSql(direction, query);
    return this.database.run<LoggedMessage>({ text, timeoutMs: SEARCH_MS_MAX }, values);
  }

  async message(direction: Direction, id: string, sql: Sql = this.database): Promise<WholeMessage | null> {
    if (!isMessageId(direction, id)) return null;
    const [row] = await sql.run<WholeMessage>({ text: messageSql(direction) }, [id]);
    return row ?? null;
  }

  /** The bytes of a message, of which as many are read as are asked for. Throws `hl7.unknown-message` where it is gone meanwhile. */
  bytesOf({ direction, id }: Pick<LoggedMessage, 'direction' | 'id'>): MessageBytes {
    const only = async <Row>(text: string, values: readonly unknown[]): Promise<Row> => {
      const [row] = await this.database.run<Row>({ text }, [id, ...values]);
      if (row === undefined) throw unknownMessage();
      return row;
    };
    return {
      // PostgreSQL counts from 1.
      read: async (offset, length) =>
        (await only<{ part: Buffer }>(bytesSql(direction), [offset + 1, length])).part,
      includes: async (byte) => (await only<{ found: boolean }>(byteSql(direction), [Buffer.of(byte)])).found,
    };
  }

  /** As lists show it. */
  async listed(direction: Direction, id: string, sql: Sql): Promise<LoggedMessage | null> {
    if (!isMessageId(direction, id)) return null;
    const [row] = await sql.run<LoggedMessage>({ text: listedSql(direction) }, [id]);
    return row ?? null;
  }

  attempts(messageId: string): Promise<LoggedAttempt[]> {
    return this.database.run<LoggedAttempt>(ATTEMPTS, [
      messageId,
      ATTEMPTS_SHOWN_MAX,
      ATTEMPT_ACK_BYTES_SHOWN_MAX,
    ]);
  }

  /** All messages made of the same report for the same destination, oldest first: the versions of what the receiver knows. */
  versions(message: WholeMessage): Promise<
    {
      id: string;
      created_at: Date;
      state: string;
      control_id: string;
      report_version: number;
      revision: number;
    }[]
  > {
    return this.database.run(VERSIONS, [message.destination, message.report_id, ATTEMPTS_SHOWN_MAX]);
  }

  /** What was refused, rejected or held and nobody has dealt with, by reason. */
  deadByReason(): Promise<DeadGroup[]> {
    return this.database.run<DeadGroup>({ text: DEAD, timeoutMs: SEARCH_MS_MAX }, [GROUPS_MAX]);
  }

  async select(
    direction: Direction,
    query: MessageQuery,
    limit: number,
  ): Promise<{ id: string; at: Date }[]> {
    const { text, values } = selectionSql(direction, query, limit);
    return this.database.run<{ id: string; at: Date }>({ text, timeoutMs: SEARCH_MS_MAX }, values);
  }

  /** An inbound message that filing holds waits to be filed again. False when it is not held. */
  async fileAgain(tx: Transaction, id: string): Promise<boolean> {
    return (await tx.run(FILE_AGAIN, [id])).length > 0;
  }

  /** An inbound message that filing holds is given up by a person. False when it is not held. */
  async discardInbound(tx: Transaction, id: string): Promise<boolean> {
    return (await tx.run(DISCARD_INBOUND, [id])).length > 0;
  }
}

export const unknownMessage = (): Failure =>
  new Failure('hl7.unknown-message', 'There is no such message in the log; its time may be over.');

/** Does the id have the shape of one? Anything else would be an error of the database. */
function isMessageId(direction: Direction, id: string): boolean {
  return direction === 'in'
    ? /^[1-9]\d{0,17}$/.test(id)
    : /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}

/** Destination and lane are of messages that go out. */
function mayHold(direction: Direction, query: MessageQuery): boolean {
  return direction === 'out' ? query.sender === null : query.destination === null && query.lane === null;
}

function newest(a: LoggedMessage, b: LoggedMessage): number {
  const time = b.at.getTime() - a.at.getTime();
  // Within a millisecond the database's own text decides, of one direction only; both come sorted, and sort is stable.
  return time;
}

const ATTEMPTS: Statement = {
  name: 'hl7-log-attempts',
  text: `SELECT attempt, started_at, ended_at, outcome, error, substring(ack FOR $3) AS ack FROM
    (SELECT * FROM hl7_attempt WHERE message_id = $1 ORDER BY id DESC LIMIT $2) AS newest ORDER BY id`,
};
const VERSIONS: Statement = {
  name: 'hl7-log-versions',
  text: `SELECT id, created_at, state, control_id, report_version, revision FROM hl7_outbound
    WHERE destination = $1 AND report_id = $2 ORDER BY report_version, revision LIMIT $3`,
};
/** `stopped`, `superseded` and `discarded` are ends somebody or something decided; these here wait for a person. */
const DEAD = `SELECT * FROM (
    SELECT 'in' AS direction, concat_ws(':', m.sending_application, m.sending_facility) AS partner, 'held' AS status, m.filing_outcome AS reason,
      count(*)::int AS messages, min(m.received_at) AS oldest, max(m.received_at) AS newest
    FROM hl7_inbound m WHERE m.filing_outcome NOT IN ('filed', 'refused') GROUP BY 2, 4
    UNION ALL
    SELECT 'out', m.destination, m.state, coalesce(m.last_error, 'none'), count(*)::int, min(m.created_at), max(m.created_at)
    FROM hl7_unacknowledged u JOIN hl7_outbound m ON m.id = u.id
    WHERE u.state IN ('rejected', 'given-up', 'dead', 'unmade') GROUP BY 2, 3, 4
  ) AS dead ORDER BY messages DESC LIMIT $1`;
const FILE_AGAIN: Statement = {
  name: 'hl7-log-file-again',
  text: `UPDATE hl7_inbound SET filing_outcome = NULL, filed_at = NULL WHERE id = $1 AND filing_outcome NOT IN ('filed', 'refused') RETURNING id`,
};
const DISCARD_INBOUND: Statement = {
  name: 'hl7-log-discard-inbound',
  text: `UPDATE hl7_inbound SET filing_outcome = 'refused', flags = array_append(flags, 'discarded')
    WHERE id = $1 AND filing_outcome NOT IN ('filed', 'refused') RETURNING id`,
};
