import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Statement, type Transaction } from '../../database/database.ts';
import type { OruStored } from '../../kernel/handoffs.ts';
import { lockLane, lockLaneFirst } from '../../queue/lock-lane.ts';
import {
  type AfterTurn,
  type Attempt,
  firstOfLane,
  LaneMessages,
  type LaneTurn,
  type NotTaken,
  type OutboundMessage,
} from './lane-messages.store.ts';
import type { LineIds } from './oru-input.ts';

export type MessageState =
  | 'waiting'
  | 'acknowledged'
  | 'rejected'
  | 'given-up'
  | 'dead'
  | 'superseded'
  | 'stopped'
  | 'discarded'
  | 'unmade';

export interface NewMessage {
  readonly id: string;
  readonly destination: string;
  readonly lane: string;
  readonly controlId: string;
  readonly raw: Buffer;
  readonly reportId: string;
  readonly reportVersion: number;
  readonly patientId: string;
  readonly messageTime: Date;
  readonly unmapped: number;
  readonly mrn: string;
  readonly accession: string;
  readonly placer: string;
  /** OBR-25. */
  readonly result: string;
  readonly lineIds: LineIds;
  readonly profile: string;
  readonly profileVersion: string;
  /** 1, or one more for each message about the same version of the report. */
  readonly revision: number;
  readonly versionOf: string | null;
  /** `unmade` or `stopped` messages are kept so that people see why nothing was sent. */
  readonly state: 'waiting' | 'unmade' | 'stopped';
  readonly error: string | null;
}

/** The last message about a report to a destination, whatever became of it. */
export interface LatestMessage {
  readonly state: MessageState;
  readonly reportVersion: number;
  readonly revision: number;
  readonly messageTime: Date;
  /** The lane in which messages about this report still wait; null when none does. */
  readonly openLane: string | null;
}

/** The last message about a report that the destination has, or gets before any later one. */
export interface ToldMessage {
  readonly id: string;
  readonly raw: Buffer;
  readonly lane: string;
  readonly patientId: string;
  readonly result: string;
  readonly lineIds: LineIds;
  readonly mrn: string;
  readonly accession: string;
  readonly placer: string;
}

/** Tables `hl7_outbound` and `hl7_attempt`: every message sent or to be sent, as bytes, with every try and every answer. */
@Injectable()
export class OutboundMessageStore {
  private readonly lanes: LaneMessages;

  constructor(private readonly database: Database) {
    this.lanes = new LaneMessages(database);
  }

  /** MSH-10: `P` and 13 digits or more, unique for ever. A number drawn and not used is no harm. */
  async nextControlId(): Promise<string> {
    const [row] = await this.database.run<{ id: string }>(NEXT_CONTROL_ID);
    return `P${row!.id}`;
  }

  /** Null before the first message about this report to the destination. */
  async latest(destination: string, reportId: string): Promise<LatestMessage | null> {
    const [row] = await this.database.run<LatestMessage>(LATEST, [destination, reportId]);
    return row ?? null;
  }

  /** What the destination was told last; null when it was told nothing. */
  async told(destination: string, reportId: string): Promise<ToldMessage | null> {
    const [row] = await this.database.run<ToldMessage>(TOLD, [destination, reportId]);
    return row ?? null;
  }

  /** False when this version of the report is stored for the destination already. Earlier messages that are still told by it are marked so. */
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
      one.patientId,
      one.mrn,
      one.accession,
      one.placer,
      one.result,
      JSON.stringify(one.lineIds),
      one.profile,
      one.profileVersion,
      one.revision,
      one.versionOf,
      one.state,
      one.error,
    ];
    // Messages of a lane have their numbers in the order of their commits.
    if (one.state === 'waiting') await lockLaneFirst(tx, one.lane);
    return (await tx.run(INSERT, values)).length > 0;
  }

  /** See `LaneMessages`. */
  takeUp(lane: string): Promise<OutboundMessage | NotTaken> {
    return this.lanes.takeUp(lane);
  }

  /** See `LaneMessages`. */
  mayHaveBeenSent(message: OutboundMessage): Promise<void> {
    return this.lanes.mayHaveBeenSent(message);
  }

  /** See `LaneMessages`. */
  end(turn: LaneTurn): Promise<AfterTurn> {
    return this.lanes.end(turn);
  }

  /** A try that ended without an end of the message. */
  async failed(id: string, attempt: Attempt, answered: boolean): Promise<void> {
    const { startedAt, outcome, ack, error } = attempt;
    await this.database.run(FAILED, [id, startedAt, outcome, ack, error, answered]);
  }

  /** Does somebody have to see to it? */
  async isDead(tx: Transaction, id: string): Promise<boolean> {
    return (await tx.run(IS_DEAD, [id])).length > 0;
  }

  /** Until somebody releases it, nothing of this lane is sent: the receiver's answer asks for a person. */
  async holdLane(message: Pick<OutboundMessage, 'id' | 'lane' | 'destination'>, why: string): Promise<void> {
    await this.database.run(HOLD_LANE, [message.lane, message.destination, message.id, why]);
  }

  /**
   * Messages that wait and that nobody has signed, of this patient or with one of these accession numbers. Until the transaction ends no message of the patient's
   * is made beside it (see `lockFinals`).
   */
  async unsignedWaiting(
    tx: Transaction,
    patientId: string,
    accessions: readonly string[],
  ): Promise<{ id: string; destination: string; reportId: string }[]> {
    return tx.run(UNSIGNED_WAITING, [patientId, accessions]);
  }

  /** Whoever makes an unsigned message and whoever stores a final report of the same patient do it one after the other. */
  async lockFinals(tx: Transaction, patientId: string): Promise<void> {
    await tx.run(LOCK_FINALS, [patientId]);
  }

  /**
   * The same look, and the lock before it, on the way to the commit: the transaction fails when there are such messages, and is tried again to look in
   * earnest. False where nobody would try again: then nothing was asked.
   */
  guessNoneWaiting(tx: Transaction, patientId: string, accessions: readonly string[]): boolean {
    if (!tx.guessing || !tx.later) return false;
    tx.later(LOCK_FINALS, [patientId]);
    tx.later(NONE_WAITING, [patientId, accessions]);
    return true;
  }

  /** It will not be sent: `why` is a code. */
  async stop(tx: Transaction, id: string, why: string): Promise<void> {
    await tx.run(STOP, [id, 'stopped', why]);
  }

  /** The job of a lane became a dead letter: so does what it could not send, until somebody replays that. Gives its id; null when nothing waits there. */
  async buryHead(tx: Transaction, lane: string): Promise<string | null> {
    await lockLane(tx, lane);
    const [row] = await tx.run<{ id: string }>(BURY_HEAD, [lane]);
    return row?.id ?? null;
  }

  /** Its dead letter is replayed: it waits again in its place, with all its tries. One that was acknowledged stays so. */
  async replayed(tx: Transaction, { messageId, lane }: OruStored): Promise<void> {
    await lockLane(tx, lane);
    await tx.run(REPLAYED, [messageId]);
  }

  /** What has not been sent, and when the receivers last acknowledged something. */
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

  /** Is the destination held by an operator? */
  async isHeld(destination: string, sql: Sql = this.database): Promise<boolean> {
    return (await sql.run(DESTINATION_HELD, [destination])).length > 0;
  }
}

export interface OutboundState {
  readonly waiting: number;
  /** Age of the oldest that waits; 0 when none does. */
  readonly oldestSeconds: number;
  readonly lastAckAt: Date | null;
}

const NEXT_CONTROL_ID: Statement = {
  name: 'hl7-control-id',
  text: `SELECT nextval('hl7_control_id')::text AS id`,
};
/** Messages of one report are few, and the unique index finds them. */
const LATEST: Statement = {
  name: 'hl7-outbound-latest',
  text: `SELECT state, report_version AS "reportVersion", revision, message_time AS "messageTime",
      (SELECT lane FROM hl7_outbound w WHERE w.destination = $1 AND w.report_id = $2 AND w.state = 'waiting'
        ORDER BY w.message_time DESC LIMIT 1) AS "openLane"
    FROM hl7_outbound WHERE destination = $1 AND report_id = $2
    ORDER BY message_time DESC, created_at DESC LIMIT 1`,
};
/** What was acknowledged once is known there, also when it was sent a second time and that was refused, stopped or discarded. */
const TOLD: Statement = {
  name: 'hl7-outbound-told',
  text: `SELECT id, raw, lane, patient_id AS "patientId", result_status AS result, line_ids AS "lineIds", mrn, accession, placer
    FROM hl7_outbound WHERE destination = $1 AND report_id = $2 AND (state IN ('waiting', 'acknowledged') OR acked_at IS NOT NULL)
    ORDER BY message_time DESC, created_at DESC LIMIT 1`,
};
const INSERT: Statement = {
  name: 'hl7-outbound-insert',
  text: `WITH added AS (
      INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time,
        unmapped_letters, patient_id, mrn, accession, placer, result_status, line_ids, profile, profile_version, revision,
        version_of, state, last_error)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
      ON CONFLICT ON CONSTRAINT hl7_outbound_once DO NOTHING RETURNING id
    ), told AS (
      UPDATE hl7_outbound SET superseded_by = $1
      WHERE destination = $2 AND report_id = $6 AND superseded_by IS NULL AND id <> $1 AND EXISTS (SELECT 1 FROM added)
    )
    SELECT id FROM added`,
};
const FAILED: Statement = {
  name: 'hl7-outbound-failed',
  text: `WITH tried AS (
      UPDATE hl7_outbound SET attempts = attempts + 1, sent_at = $2, last_error = $5, ack = coalesce($4, ack),
        errors_answered = errors_answered + CASE WHEN $6 THEN 1 ELSE 0 END WHERE id = $1 RETURNING destination, attempts)
    INSERT INTO hl7_attempt (message_id, destination, attempt, started_at, outcome, ack, error)
    SELECT $1, destination, attempts, $2, $3, $4, $5 FROM tried`,
};
const IS_DEAD: Statement = {
  name: 'hl7-outbound-is-dead',
  text: `SELECT 1 FROM hl7_outbound WHERE id = $1 AND state IN ('rejected', 'given-up', 'dead')`,
};
const STOP: Statement = {
  name: 'hl7-outbound-stop',
  text: `UPDATE hl7_outbound SET state = $2, last_error = $3 WHERE id = $1 AND state = 'waiting' RETURNING id`,
};
const BURY_HEAD: Statement = {
  name: 'hl7-outbound-bury-head',
  text: `UPDATE hl7_outbound SET state = 'dead' WHERE state = 'waiting' AND id = (SELECT id FROM (${firstOfLane('$1')}) AS head) RETURNING id`,
};
const REPLAYED: Statement = {
  name: 'hl7-outbound-replayed',
  text: `UPDATE hl7_outbound SET state = 'waiting', errors_answered = 0
    WHERE id = $1 AND state IN ('rejected', 'given-up', 'dead')`,
};
const STATE: Statement = {
  name: 'hl7-outbound-state',
  text: `SELECT count(*)::int AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS oldest_s,
      (SELECT max(ended_at) FROM hl7_attempt WHERE error IS NULL) AS acked_at
    FROM hl7_unacknowledged WHERE state = 'waiting'`,
};
const HOLD_LANE: Statement = {
  name: 'hl7-outbound-hold-lane',
  text: `INSERT INTO hl7_lane_hold (lane, destination, message_id, held_by, reason) VALUES ($1, $2, $3, 'prelim', $4)
    ON CONFLICT (lane) DO NOTHING`,
};
const UNSIGNED = `state = 'waiting' AND result_status IN ('P', 'R', 'A', 'M')`;
const UNSIGNED_OF_PATIENT = `FROM hl7_unacknowledged WHERE patient_id = $1 AND ${UNSIGNED}`;
const UNSIGNED_OF_EXAM = `FROM hl7_unacknowledged WHERE accession <> '' AND accession = ANY($2) AND ${UNSIGNED}`;
const UNSIGNED_WAITING: Statement = {
  name: 'hl7-outbound-unsigned-waiting',
  text: `SELECT id, destination, report_id AS "reportId" ${UNSIGNED_OF_PATIENT}
    UNION
    SELECT id, destination, report_id ${UNSIGNED_OF_EXAM}`,
};
const NONE_WAITING: Statement = {
  name: 'hl7-outbound-none-waiting',
  text: `SELECT 1 / (NOT EXISTS (SELECT ${UNSIGNED_OF_PATIENT}) AND NOT EXISTS (SELECT ${UNSIGNED_OF_EXAM}))::int AS none`,
};
const LOCK_FINALS: Statement = {
  name: 'hl7-outbound-lock-finals',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 7264))',
};
const DESTINATION_HELD: Statement = {
  name: 'hl7-destination-held',
  text: 'SELECT 1 FROM hl7_destination WHERE destination = $1',
};
