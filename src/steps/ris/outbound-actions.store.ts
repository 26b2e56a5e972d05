import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Sql, Transaction } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import { laneJob, type ReportWritten, RIS_MESSAGE_QUEUE, risSendQueue } from '../../kernel/handoffs.ts';
import { lockLane } from '../../queue/lock-lane.ts';
import {
  type OutboundActions,
  OutboundActionsHost,
  type OutboundDestination,
  type OutboundHold,
  type StandingHold,
} from '../../queue/outbound-actions.ts';
import { Outbox } from '../../queue/outbox.ts';
import { dropDeadJobs } from './dead-letters.store.ts';
import { isTooLate } from './is-too-late.ts';
import { firstOfLane } from './lane-messages.store.ts';
import { type MessageState, OutboundMessageStore } from './outbound-message.store.ts';
import type { RisDestination } from './ris-destination.ts';
import { RisDestinations } from './ris-destinations.ts';

/** What operators do to messages; see `OutboundActions`. */
@Injectable()
export class OutboundActionsStore implements OutboundActions, OnModuleInit {
  constructor(
    private readonly host: OutboundActionsHost,
    private readonly outbox: Outbox,
    private readonly messages: OutboundMessageStore,
    private readonly receivers: RisDestinations,
    private readonly store: ResourceStore,
  ) {}

  onModuleInit(): void {
    this.host.use(this);
  }

  async resend(
    tx: Transaction,
    messageId: string,
    { overNewer = false }: { readonly overNewer?: boolean } = {},
  ): Promise<void> {
    const message = await this.find(tx, messageId);
    if (message.state === 'unmade') throw notSendable();
    if (message.dropped)
      throw new Failure(
        'ris.bytes-dropped',
        'The bytes of this message were dropped when their time was over. Rebuild it from the record.',
      );
    if (message.state === 'waiting') throw inFlight('It waits to be sent already.');
    if (!overNewer) await this.refuseLate(tx, message);
    const [dead] = await tx.run<{ id: string }>(DEAD_LETTER, [messageId]);
    // A dead letter goes back to its own place, before the newer; these bytes would go behind it.
    if (message.newerWaits && !dead && !overNewer)
      throw new Failure(
        'ris.newer-sent',
        'A newer message about this report waits to be sent: the older bytes would follow and overwrite it. Leave it to that one, or confirm.',
      );
    const { lane } = message;
    await lockLane(tx, lane);
    await tx.run(WAIT_AGAIN, [messageId]);
    if (dead) await dropDeadJobs(tx, messageId);
    else await tx.run(AS_LAST, [messageId]);
    await this.outbox.add(tx, [laneJob({ lane, ...this.handoffDestination(message.destination) })]);
  }

  async mayFollow(tx: Transaction, messageId: string): Promise<void> {
    await this.refuseLate(tx, await this.find(tx, messageId));
  }

  async rebuild(tx: Transaction, messageId: string): Promise<void> {
    const message = await this.find(tx, messageId);
    const payload: ReportWritten = {
      diagnosticReportId: message.reportId,
      versionId: message.reportVersion,
      patientId: message.patientId,
      destination: this.receiverOf(message.destination).name,
      rebuildOf: messageId,
    };
    await this.outbox.add(tx, [{ queue: RIS_MESSAGE_QUEUE, payload, lane: `oru:${message.patientId}` }]);
  }

  async sendTo(tx: Transaction, messageId: string, destination: string): Promise<void> {
    const message = await this.find(tx, messageId);
    if (this.receivers.named(destination) === null)
      throw new Failure(
        'ris.unknown-destination',
        `There is no such destination. Known: ${this.receivers.all.map(({ name }) => name).join(', ') || 'none'}.`,
      );
    if (message.destination === destination)
      throw new Failure(
        'ris.same-destination',
        'This message is of that destination: resend its bytes, or rebuild it.',
      );
    const { reportId: diagnosticReportId, reportVersion: versionId, patientId } = message;
    const payload: ReportWritten = { diagnosticReportId, versionId, patientId, destination };
    await this.outbox.add(tx, [{ queue: RIS_MESSAGE_QUEUE, payload, lane: `oru:${patientId}` }]);
  }

  async discard(tx: Transaction, messageId: string, why: string): Promise<void> {
    await this.find(tx, messageId);
    const rows = await tx.run(DISCARD, [messageId, why]);
    if (rows.length === 0) throw inFlight('It was acknowledged, or is gone already.');
    await dropDeadJobs(tx, messageId);
  }

  async holdDestination(
    tx: Transaction,
    destination: string,
    by: string,
    reason: string,
  ): Promise<StandingHold> {
    const [hold] = await tx.run<StandingHold>(HOLD_DESTINATION, [destination, by, reason]);
    return hold as StandingHold;
  }

  async releaseDestination(tx: Transaction, destination: string): Promise<OutboundHold | null> {
    const [released] = await tx.run<OutboundHold>(RELEASE_DESTINATION, [destination]);
    return released ?? null;
  }

  async holdLane(
    tx: Transaction,
    { lane, destination }: { readonly lane: string; readonly destination: string },
    by: string,
    reason: string,
  ): Promise<StandingHold> {
    const [hold] = await tx.run<StandingHold>(HOLD_LANE, [lane, by, reason, destination]);
    return hold as StandingHold;
  }

  async releaseLane(tx: Transaction, lane: string): Promise<OutboundHold | null> {
    const [released] = await tx.run<OutboundHold>(RELEASE_LANE, [lane]);
    const queues = this.receivers.all.map(({ isNamed, name }) => risSendQueue(isNamed ? name : undefined));
    for (const { queue } of await tx.run<{ queue: string }>(LANE_DUE, [lane, queues]))
      await tx.run(NOTIFY, [queue]);
    return released ?? null;
  }

  destinations(): readonly OutboundDestination[] {
    return this.receivers.all.map((one) => one.describe());
  }

  isHeld(sql: Sql, destination: string): Promise<boolean> {
    return this.messages.isHeld(destination, sql);
  }

  private async refuseLate(tx: Transaction, message: Found): Promise<void> {
    if (message.newerSent)
      throw new Failure(
        'ris.newer-sent',
        'A newer message about this report was sent: the older bytes would overwrite it. Rebuild instead, or confirm.',
      );
    const { store, messages } = this;
    if (!(await isTooLate(tx, { store, messages }, message))) return;
    const profile = await this.receiverOf(message.destination).profile();
    if (!profile.preliminaryAfterFinal)
      throw new Failure(
        'ris.final-seen',
        'A final report of this exam is there: these bytes are a preliminary result, and would follow it. Discard the message, or confirm.',
      );
  }

  private async find(tx: Transaction, messageId: string): Promise<Found> {
    const [message] = UUID.test(messageId) ? await tx.run<Found>(FIND, [messageId]) : [];
    if (message === undefined)
      throw new Failure('ris.unknown-message', 'There is no outbound message with this id.');
    return message;
  }

  private handoffDestination(name: string): { destination?: string } {
    const receiver = this.receiverOf(name);
    return receiver.isNamed ? { destination: receiver.name } : {};
  }

  /** A message for an earlier address of `RIS_URL` goes to the one of today; one for a named destination that is not set any more goes to nobody else. */
  private receiverOf(name: string): RisDestination {
    const { all, simple } = this.receivers;
    const found = all.find((one) => one.name === name) ?? (name.includes(':') ? simple : null);
    if (found === null)
      throw new Failure(
        'ris.unknown-destination',
        'The destination of this message is not configured any more: name it again, or discard the message.',
      );
    return found;
  }
}

interface Found {
  readonly state: MessageState;
  readonly lane: string;
  readonly destination: string;
  readonly reportId: string;
  readonly reportVersion: number;
  readonly patientId: string;
  /** OBR-25. */
  readonly result: string;
  /** A later message about the report was sent to the same receiver. */
  readonly newerSent: boolean;
  /** One waits to be. */
  readonly newerWaits: boolean;
  /** Retention has dropped its bytes. */
  readonly dropped: boolean;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const inFlight = (why: string) => new Failure('ris.in-flight', why);
const notSendable = () =>
  new Failure('ris.not-sendable', 'No message could be made of the record. Complete it, then rebuild.');

/** The first of a lane whose job runs, unless it is held: it is not marked, and may have left. */
const ON_ITS_WAY = `(n.state = 'waiting'
        AND n.id = (SELECT id FROM (${firstOfLane('n.lane')}) AS head)
        AND EXISTS (SELECT 1 FROM outbox o WHERE o.queue IN ('ris-send', 'ris-send@' || n.destination) AND o.key = n.lane AND o.state = 'running')
        AND NOT EXISTS (SELECT 1 FROM hl7_lane_hold h WHERE h.lane = n.lane)
        AND NOT EXISTS (SELECT 1 FROM hl7_destination d WHERE d.destination = n.destination))`;
const FIND = {
  name: 'hl7-action-find',
  text: `SELECT m.state, lane, destination, report_id AS "reportId", report_version AS "reportVersion", patient_id AS "patientId",
      result_status AS result, newer.sent AS "newerSent", newer.waits AS "newerWaits", m.raw_dropped_at IS NOT NULL AS dropped
    FROM hl7_outbound m, LATERAL (SELECT coalesce(bool_or(n.attempts > 0 OR ${ON_ITS_WAY}), false) AS sent, coalesce(bool_or(n.state = 'waiting'), false) AS waits
      FROM hl7_outbound n WHERE n.destination = m.destination AND n.report_id = m.report_id AND n.message_time > m.message_time) newer
    WHERE m.id = $1 FOR UPDATE OF m`,
};
const WAIT_AGAIN = {
  name: 'hl7-action-wait-again',
  text: `UPDATE hl7_outbound SET state = 'waiting', errors_answered = 0 WHERE id = $1`,
};
const DEAD_LETTER = {
  name: 'hl7-action-dead-letter',
  text: `SELECT id FROM outbox WHERE state = 'dead' AND payload ->> 'messageId' = $1 ORDER BY id DESC LIMIT 1`,
};
const DISCARD = {
  name: 'hl7-action-discard',
  text: `UPDATE hl7_outbound SET state = 'discarded', last_error = $2
    WHERE id = $1 AND state NOT IN ('acknowledged', 'discarded') RETURNING id`,
};
const HELD = 'held_at AS at, held_by AS by, reason';
/** The update changes nothing: it gives the row that is there, which an insert that does nothing would not. A row that was only inserted has no `xmax`. */
const STANDING = `${HELD}, (xmax <> 0) AS already`;
const HOLD_DESTINATION = {
  name: 'hl7-action-hold-destination',
  text: `INSERT INTO hl7_destination AS d (destination, held_by, reason) VALUES ($1, $2, $3)
    ON CONFLICT (destination) DO UPDATE SET reason = d.reason RETURNING destination, NULL AS lane, ${STANDING}`,
};
const RELEASE_DESTINATION = {
  name: 'hl7-action-release-destination',
  text: `DELETE FROM hl7_destination WHERE destination = $1 RETURNING destination, NULL AS lane, ${HELD}`,
};
const HOLD_LANE = {
  name: 'hl7-action-hold-lane',
  text: `INSERT INTO hl7_lane_hold AS h (lane, destination, message_id, held_by, reason)
    SELECT $1, coalesce(head.destination, $4), head.id, $2, $3
    FROM (SELECT 1) AS one LEFT JOIN LATERAL (${firstOfLane('$1')}) AS head ON true
    ON CONFLICT (lane) DO UPDATE SET reason = h.reason RETURNING destination, lane, ${STANDING}`,
};
const RELEASE_LANE = {
  name: 'hl7-action-release-lane',
  text: `DELETE FROM hl7_lane_hold WHERE lane = $1 RETURNING destination, lane, ${HELD}`,
};
/** Behind all that waits in its lane. Needs the lock of the lane. */
const AS_LAST = {
  name: 'hl7-action-as-last',
  text: 'UPDATE hl7_unacknowledged SET seq = DEFAULT WHERE id = $1',
};
/** Its job may have been told to look again in half a minute. */
const LANE_DUE = {
  name: 'hl7-action-lane-due',
  text: `UPDATE outbox SET not_before = now() WHERE key = $1 AND queue = ANY($2::text[]) AND state = 'waiting' RETURNING queue`,
};
const NOTIFY = { name: 'hl7-action-notify', text: `SELECT pg_notify('outbox', $1)` };
