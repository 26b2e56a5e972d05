import { Injectable } from '@nestjs/common';
import { Database, type Statement, type Transaction } from '../../database/database.ts';

/** One message on its way out. */
export interface OutboundMessage {
  readonly id: string;
  readonly controlId: string;
  readonly raw: Buffer;
  readonly state: 'waiting' | 'acknowledged' | 'rejected' | 'given-up' | 'dead';
  /** Times it was sent, whatever came of it. */
  readonly attempts: number;
  /** Times the receiver answered "try again" (AE, CE). */
  readonly errorsAnswered: number;
}

export interface NewMessage {
  readonly id: string;
  readonly destination: string;
  readonly lane: string;
  readonly controlId: string;
  readonly raw: Buffer;
  readonly reportId: string;
  readonly reportVersion: number;
  readonly messageTime: Date;
  readonly unmapped: number;
}

/** Table `hl7_outbound`: every message sent or to be sent, as bytes, with every answer. */
@Injectable()
export class OutboundMessageStore {
  constructor(private readonly database: Database) {}

  /** MSH-10: `P` and 13 digits or more, unique for ever. A number drawn and not used is no harm. */
  async nextControlId(): Promise<string> {
    const [row] = await this.database.run<{ id: string }>(NEXT_CONTROL_ID);
    return `P${row!.id}`;
  }

  /** Time of the last message about this report to this destination; null before the first. */
  async lastMessageTime(destination: string, reportId: string): Promise<Date | null> {
    const [row] = await this.database.run<{ last: Date | null }>(LAST_TIME, [destination, reportId]);
    return row?.last ?? null;
  }

  async has(destination: string, reportId: string, reportVersion: number): Promise<boolean> {
    return (await this.database.run(HAS, [destination, reportId, reportVersion])).length > 0;
  }

  /** False when this version of the report is stored for the destination already. */
  async add(tx: Transaction, one: NewMessage): Promise<boolean> {
    const values = [
      one.id,
      one.destination,
      one.lane,
      one.controlId,
      one.raw,
      one.reportId,
      one.reportVersion,
      one.messageTime,
      one.unmapped,
    ];
    return (await tx.run(INSERT, values)).length > 0;
  }

  async read(id: string): Promise<OutboundMessage | null> {
    const [row] = await this.database.run<OutboundRow>(READ, [id]);
    if (row === undefined) return null;
    const { control_id: controlId, errors_answered: errorsAnswered, ...rest } = row;
    return { ...rest, controlId, errorsAnswered };
  }

  /** Before the bytes leave: a crash in between shows as an attempt without an answer. */
  async sending(id: string): Promise<void> {
    await this.database.run(SENDING, [id]);
  }

  /** `why` is a code, never text of the receiver: that may hold patient data. */
  async failed(id: string, why: string, ack: Buffer | null): Promise<void> {
    await this.database.run(FAILED, [id, why, ack]);
  }

  async end(
    tx: Transaction,
    id: string,
    state: 'acknowledged' | 'rejected' | 'given-up',
    ack: Buffer | null,
    why: string | null,
  ): Promise<void> {
    await tx.run(END, [id, state, ack, why]);
  }

  /** Its job became a dead letter without an end of its own: it will not be sent until somebody replays the job. */
  async buried(tx: Transaction, id: string): Promise<void> {
    await tx.run(BURIED, [id]);
  }

  /** Its dead letter is replayed: it waits again, with all its tries. One that was acknowledged stays so. */
  async replayed(tx: Transaction, id: string): Promise<void> {
    await tx.run(REPLAYED, [id]);
  }

  /** What has not been sent, and when the receiver last acknowledged something. */
  async state(): Promise<OutboundState> {
    const [row] = await this.database.run<{ waiting: number; oldest_s: number; acked_at: Date | null }>(
      STATE,
    );
    return {
      waiting: row?.waiting ?? 0,
      oldestSeconds: row?.oldest_s ?? 0,
      lastAckAt: row?.acked_at ?? null,
    };
  }
}

export interface OutboundState {
  readonly waiting: number;
  /** Age of the oldest that waits; 0 when none does. */
  readonly oldestSeconds: number;
  readonly lastAckAt: Date | null;
}

interface OutboundRow {
  readonly id: string;
  readonly control_id: string;
  readonly raw: Buffer;
  readonly state: OutboundMessage['state'];
  readonly attempts: number;
  readonly errors_answered: number;
}

const NEXT_CONTROL_ID: Statement = {
  name: 'hl7-control-id',
  text: `SELECT nextval('hl7_control_id')::text AS id`,
};
const LAST_TIME: Statement = {
  name: 'hl7-outbound-last-time',
  text: 'SELECT max(message_time) AS last FROM hl7_outbound WHERE destination = $1 AND report_id = $2',
};
const HAS: Statement = {
  name: 'hl7-outbound-has',
  text: 'SELECT 1 FROM hl7_outbound WHERE destination = $1 AND report_id = $2 AND report_version = $3',
};
const INSERT: Statement = {
  name: 'hl7-outbound-insert',
  text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, unmapped_letters)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT ON CONSTRAINT hl7_outbound_once DO NOTHING RETURNING id`,
};
const READ: Statement = {
  name: 'hl7-outbound-read',
  text: 'SELECT id, control_id, raw, state, attempts, errors_answered FROM hl7_outbound WHERE id = $1',
};
const SENDING: Statement = {
  name: 'hl7-outbound-sending',
  text: 'UPDATE hl7_outbound SET attempts = attempts + 1, sent_at = now() WHERE id = $1',
};
const FAILED: Statement = {
  name: 'hl7-outbound-failed',
  text: `UPDATE hl7_outbound SET last_error = $2, ack = coalesce($3, ack),
    errors_answered = errors_answered + CASE WHEN $3::bytea IS NULL THEN 0 ELSE 1 END WHERE id = $1`,
};
const END: Statement = {
  name: 'hl7-outbound-end',
  text: `UPDATE hl7_outbound SET state = $2, ack = coalesce($3, ack), last_error = $4,
    acked_at = CASE WHEN $2 = 'acknowledged' THEN now() ELSE acked_at END WHERE id = $1`,
};
const BURIED: Statement = {
  name: 'hl7-outbound-buried',
  text: `UPDATE hl7_outbound SET state = 'dead' WHERE id = $1 AND state = 'waiting'`,
};
const REPLAYED: Statement = {
  name: 'hl7-outbound-replayed',
  text: `UPDATE hl7_outbound SET state = 'waiting', errors_answered = 0 WHERE id = $1 AND state <> 'acknowledged'`,
};
const STATE: Statement = {
  name: 'hl7-outbound-state',
  text: `SELECT count(*)::int AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS oldest_s,
      (SELECT max(acked_at) FROM hl7_outbound) AS acked_at
    FROM hl7_outbound WHERE state = 'waiting'`,
};
