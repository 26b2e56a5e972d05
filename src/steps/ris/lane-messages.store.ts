import { mayHaveHappened } from '../../database/connection-failure.ts';
import {
  type Database,
  GUESS_FAILED_SQLSTATE,
  type LastStatement,
  type Statement,
  type Transaction,
} from '../../database/database.ts';
import { BY_INDEX } from '../../queue/plan-by-index.ts';
import { EndTogether } from './end-together.ts';

/** One message that is being sent. */
export interface OutboundMessage {
  readonly id: string;
  readonly destination: string;
  readonly lane: string;
  readonly controlId: string;
  readonly raw: Buffer;
  /** Times it was sent before. */
  readonly attempts: number;
  /** Times the receiver answered "try again" (AE, CE). */
  readonly errorsAnswered: number;
  readonly createdAt: Date;
}

/** Why no message of a lane was taken up. Neither: it was held a moment ago. */
export interface NotTaken {
  readonly held: 'lane' | 'destination' | null;
  readonly isEmpty: boolean;
}

/** One try, as it ended. */
export interface Attempt {
  readonly startedAt: Date;
  /** MSA-1, or `timeout`, `connection`, `unreadable`, `foreign`. */
  readonly outcome: string;
  readonly ack: Buffer | null;
  /** A code, never text of the receiver: that may hold patient data. */
  readonly error: string | null;
}

/** A message that is over, and with it the turn of its lane. */
export interface LaneTurn {
  readonly lane: string;
  readonly messageId: string;
  readonly state: 'acknowledged' | 'rejected' | 'given-up';
  readonly attempt: Attempt;
  /** The job that sends what is in the lane, as it was claimed. */
  readonly jobId: string;
  readonly runner: number;
  /** The next of the lane is taken up in the same transaction. */
  readonly goOn: boolean;
  /** What else is to be written with it. */
  readonly write?: ((tx: Transaction) => Promise<void>) | undefined;
}

/** What follows in a lane: the next message, taken up; null: whoever looks sees why not. `lost`: the job is not ours any more, and nothing was written. */
export type AfterTurn = OutboundMessage | 'lost' | null;

interface Asked {
  readonly lane: string;
  readonly resolve: (row: OutboundMessage | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The messages of lanes, one after the other: each lane's first is taken up, and with its end the next. Lanes whose turn comes at the same moment share a
 * transaction and a round trip. A message that is on its way is not marked: whoever has its lane's job sends its first.
 */
export class LaneMessages {
  private asked: Asked[] = [];
  private readonly ends: EndTogether<LaneTurn, OutboundMessage>;

  constructor(private readonly database: Database) {
    this.ends = new EndTogether(
      (group) => this.endAll(group),
      (error) => !mayHaveHappened(error),
    );
  }

  /** The first message of a lane, if it may be sent. */
  async takeUp(lane: string): Promise<OutboundMessage | NotTaken> {
    const message = await new Promise<OutboundMessage | null>((resolve, reject) => {
      this.asked.push({ lane, resolve, reject });
      if (this.asked.length === 1) setImmediate(() => void this.takeUpAll());
    });
    if (message !== null) return message;
    const [why] = await this.database.run<Pick<NotTaken, 'held'>>(WHY_NOT, [lane]);
    return { held: why?.held ?? null, isEmpty: why === undefined };
  }

  /**
   * Somebody was sending this when he died, or could not write down how it ended: it counts as an attempt, and one without an answer. The commit does not wait for the
   * disk: whoever comes after another crash counts it again.
   */
  async mayHaveBeenSent({ id }: OutboundMessage): Promise<void> {
    await this.database.transaction((tx) => tx.run(COUNT_TRY, [id]), { durable: false });
  }

  async end(turn: LaneTurn): Promise<AfterTurn> {
    try {
      return await this.ends.end(turn);
    } catch (error) {
      if ((error as { code?: unknown }).code === GUESS_FAILED_SQLSTATE) return 'lost';
      throw error;
    }
  }

  private async takeUpAll(): Promise<void> {
    const { asked } = this;
    this.asked = [];
    try {
      const messages = await this.takeUpLanes(asked.map(({ lane }) => lane));
      const byLane = new Map(messages.map((one) => [one.lane, one]));
      for (const { lane, resolve } of asked) resolve(byLane.get(lane) ?? null);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }

  private takeUpLanes(lanes: readonly string[]): Promise<OutboundMessage[]> {
    return this.database.transaction(
      async (tx) => {
        await first(tx, BY_INDEX);
        const [rows = []] = await last(tx, { statement: TAKE_UP, values: [lanes] });
        return read(rows as Row[]);
      },
      { durable: false },
    );
  }

  /** Fails when not all of the lanes are ours: then nothing is written. */
  private async endAll(group: readonly LaneTurn[]) {
    const sorted = [...group].sort((a, b) => (a.lane < b.lane ? -1 : 1));
    const jobs = sorted.map(({ jobId }) => jobId);
    const [taken = []] = await this.database.transaction(async (tx) => {
      await first(tx, BY_INDEX);
      await first(tx, STILL_OURS, [jobs, sorted.map(({ runner }) => runner)]);
      for (const turn of sorted) await first(tx, END, endOf(turn));
      for (const { write } of sorted) await write?.(tx);
      const going = sorted.filter(({ goOn }) => goOn).map(({ lane }) => lane);
      return last(tx, { statement: TAKE_UP, values: [going] });
    });
    const messages = read(taken as Row[]);
    return new Map(messages.map((message) => [message.lane, message]));
  }
}

/** On the way to the next statement, where there is such a way. */
async function first(tx: Transaction, statement: Statement, values: readonly unknown[] = []): Promise<void> {
  if (tx.later) tx.later(statement, values);
  else await tx.run(statement, statement.manyRows ? values.map((value) => [value]) : values);
}

async function last(tx: Transaction, ...statements: readonly LastStatement[]): Promise<unknown[][]> {
  if (tx.last) return tx.last(...statements);
  const rows: unknown[][] = [];
  for (const { statement, values } of statements) rows.push(await tx.run(statement, values));
  return rows;
}

const endOf = ({ messageId, state, attempt: { startedAt, outcome, ack, error } }: LaneTurn) => [
  messageId,
  startedAt,
  outcome,
  ack,
  error,
  state,
];

/** Bytes come as Base64: two thirds of what PostgreSQL's own form takes on the way, and read several times as fast. */
type Row = Omit<OutboundMessage, 'raw'> & { readonly raw: string };

const read = (rows: readonly Row[]): OutboundMessage[] =>
  rows.map((row) => ({ ...row, raw: Buffer.from(row.raw, 'base64') }));

/** The message of a lane that is sent next, or is on its way: a query for its `id` and `destination`. `lane` is an expression of SQL. */
export const firstOfLane = (lane: string): string =>
  `SELECT u.id, u.destination FROM hl7_unacknowledged u WHERE u.lane = ${lane} AND u.state = 'waiting' ORDER BY u.seq LIMIT 1`;
const FIRST_OF_LANE = firstOfLane('asked.lane');
const LANE_HELD = 'EXISTS (SELECT 1 FROM hl7_lane_hold h WHERE h.lane = asked.lane)';
/** `IS TRUE` keeps the planner from the indexes of what waits: with all of a backlog in them it read them whole to find one message. */
const TAKE_UP: Statement = {
  name: 'hl7-lane-take-up',
  text: `SELECT m.id, m.destination, m.lane, m.control_id AS "controlId", encode(m.raw, 'base64') AS raw, m.attempts, m.errors_answered AS "errorsAnswered", m.created_at AS "createdAt"
    FROM unnest($1::text[]) AS asked(lane) CROSS JOIN LATERAL (${FIRST_OF_LANE}) AS head JOIN hl7_outbound m ON m.id = head.id
    WHERE (m.state = 'waiting') IS TRUE AND NOT ${LANE_HELD}
      AND NOT EXISTS (SELECT 1 FROM hl7_destination d WHERE d.destination = head.destination)`,
};
const COUNT_TRY: Statement = {
  name: 'hl7-lane-count-try',
  text: 'UPDATE hl7_outbound SET attempts = attempts + 1, sent_at = now() WHERE id = $1',
};
const WHY_NOT: Statement = {
  name: 'hl7-lane-why-not',
  text: `SELECT CASE
      WHEN EXISTS (SELECT 1 FROM hl7_destination d WHERE d.destination = head.destination) THEN 'destination'
      WHEN ${LANE_HELD} THEN 'lane' END AS held
    FROM (SELECT $1::text AS lane) AS asked CROSS JOIN LATERAL (${FIRST_OF_LANE}) AS head`,
};
/** A division by zero where not all of them are ours: it undoes the transaction without a round trip to ask. Nobody else gets them before its end. */
const STILL_OURS: Statement = {
  name: 'hl7-lane-still-ours',
  text: `WITH ours AS (
      SELECT o.id FROM unnest($1::bigint[], $2::int[]) AS job(id, runner) JOIN outbox o ON o.id = job.id AND o.runner = job.runner FOR SHARE OF o)
    SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM ours`,
};
/**
 * What was discarded or superseded while it was on its way stays so, unless it was acknowledged all the same.
 *
 * The trigger that keeps the narrow rows leaves those of messages that get their `acked_at` here to this statement: eight calls of it took longer than their deletion.
 */
const END: Statement = {
  name: 'hl7-lane-end',
  manyRows: true,
  text: `WITH ended AS (
      SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bytea[], $5::text[], $6::text[])
        AS e(id, started_at, outcome, answer, error, state)
    ), gone AS (
      DELETE FROM hl7_unacknowledged WHERE id = ANY(ARRAY(SELECT id FROM ended WHERE state = 'acknowledged'))
    ), changed AS (
      UPDATE hl7_outbound m SET state = CASE WHEN m.state = 'waiting' OR e.state = 'acknowledged' THEN e.state ELSE m.state END, attempts = m.attempts + 1, sent_at = e.started_at, ack = coalesce(e.answer, m.ack), last_error = e.error,
        acked_at = CASE WHEN e.state = 'acknowledged' THEN now() ELSE m.acked_at END
      FROM ended e WHERE m.id = e.id
      RETURNING m.id, m.destination, m.attempts, e.started_at, e.outcome, e.answer, e.error
    )
    INSERT INTO hl7_attempt (message_id, destination, attempt, started_at, outcome, ack, error)
    SELECT id, destination, attempts, started_at, outcome, answer, error FROM changed`,
};
