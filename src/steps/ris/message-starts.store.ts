import type { Database, Statement } from '../../database/database.ts';
import type { Ahead } from '../../queue/job.ts';
import { BY_INDEX } from '../../queue/lane-ends.ts';

/** One message that is being sent. */
export interface OutboundMessage {
  readonly id: string;
  readonly destination: string;
  readonly lane: string;
  readonly controlId: string;
  readonly raw: Buffer;
  readonly reportId: string;
  /** OBR-25. */
  readonly result: string;
  /** Times it was sent, this one too. */
  readonly attempts: number;
  /** Times the receiver answered "try again" (AE, CE). */
  readonly errorsAnswered: number;
}

interface Asked {
  readonly id: string;
  readonly lane: string;
  readonly resolve: (row: OutboundMessage | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Takes messages up for a try. The next of a lane is taken up with the end of the one before, when that is known; otherwise lanes whose turn comes at the same
 * moment are asked for in one statement. Each has its own answer.
 */
export class MessageStarts {
  private waiting: Asked[] = [];
  /** Taken up with the end of the message before, and not sent yet. */
  private readonly begun = new Map<string, { readonly message: OutboundMessage; readonly at: number }>();
  readonly ahead: Ahead = { statement: START_AHEAD, keep: (rows) => this.keep(read(rows as Row[])) };

  constructor(private readonly database: Database) {}

  /** Null when it is not to be sent: it does not wait, or its lane or destination is held. */
  start(id: string, lane: string): Promise<OutboundMessage | null> {
    const begun = this.begun.get(id);
    this.begun.delete(id);
    if (begun !== undefined && performance.now() - begun.at < BEGUN_MS_MAX)
      return Promise.resolve(begun.message);
    return new Promise((resolve, reject) => {
      this.waiting.push({ id, lane, resolve, reject });
      if (this.waiting.length === 1) setImmediate(() => void this.ask());
    });
  }

  private keep(messages: readonly OutboundMessage[]): void {
    const at = performance.now();
    for (const [id, one] of this.begun) if (at - one.at > BEGUN_MS_MAX) this.begun.delete(id);
    for (const message of messages) this.begun.set(message.id, { message, at });
  }

  private async ask(): Promise<void> {
    const asked = this.waiting;
    this.waiting = [];
    try {
      const rows = await this.startAll(
        asked.map((one) => one.id),
        asked.map((one) => one.lane),
      );
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const one of asked) one.resolve(byId.get(one.id) ?? null);
    } catch (error) {
      for (const one of asked) one.reject(error);
    }
  }

  private startAll(ids: readonly string[], lanes: readonly string[]): Promise<OutboundMessage[]> {
    return this.database.transaction(
      async (tx) => {
        tx.later?.(BY_INDEX);
        const values = [ids, lanes];
        const rows = await tx.last?.({ statement: START, values });
        return read(rows ? (rows[0] as Row[]) : await tx.run<Row>(START, values));
      },
      { durable: false },
    );
  }
}

/** Bytes come as Base64: two thirds of what PostgreSQL's own form takes on the way, and read several times as fast. */
type Row = Omit<OutboundMessage, 'raw'> & { readonly raw: string };

const read = (rows: readonly Row[]): OutboundMessage[] =>
  rows.map((row) => ({ ...row, raw: Buffer.from(row.raw, 'base64') }));

/** What was taken up longer ago is looked at again: it may have been held or discarded since. */
const BEGUN_MS_MAX = 1_000;

const STARTED = `RETURNING m.id, m.destination, m.lane, m.control_id AS "controlId", encode(m.raw, 'base64') AS raw, m.report_id AS "reportId",
      m.result_status AS result, m.attempts, m.errors_answered AS "errorsAnswered"`;
/** `IS TRUE` keeps the planner from the indexes of what waits: with all of a backlog in them it read them whole to find one message. */
const START: Statement = {
  name: 'hl7-outbound-start',
  text: `UPDATE hl7_outbound m SET attempts = attempts + 1, sent_at = clock_timestamp()
    FROM unnest($1::uuid[], $2::text[]) AS asked(id, lane)
    WHERE m.id = asked.id AND (m.state = 'waiting') IS TRUE
      AND NOT EXISTS (SELECT 1 FROM hl7_lane_hold h WHERE h.lane = asked.lane)
      AND NOT EXISTS (SELECT 1 FROM hl7_destination d WHERE d.destination = m.destination)
    ${STARTED}`,
};
/** As `START`, for the messages of jobs that run in these lanes under our number. */
const START_AHEAD: Statement = {
  name: 'hl7-outbound-start-ahead',
  text: `UPDATE hl7_outbound m SET attempts = attempts + 1, sent_at = clock_timestamp()
    FROM unnest($1::text[]) AS asked(lane)
    CROSS JOIN LATERAL (SELECT h.payload FROM outbox h WHERE h.lane = asked.lane AND h.state IN ('waiting', 'running')
      AND (h.state = 'running' AND h.runner = $2::int) IS TRUE LIMIT 1) AS o
    WHERE m.id = (o.payload ->> 'messageId')::uuid AND (m.state = 'waiting') IS TRUE
      AND NOT EXISTS (SELECT 1 FROM hl7_lane_hold h WHERE h.lane = asked.lane)
      AND NOT EXISTS (SELECT 1 FROM hl7_destination d WHERE d.destination = m.destination)
    ${STARTED}`,
};
