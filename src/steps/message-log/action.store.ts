import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Statement, type Transaction } from '../../database/database.ts';
import type { Direction } from './message-query.ts';

/** What an operator did, or asked for. */
export interface OperatorAction {
  readonly actor: string;
  readonly action: string;
  readonly direction?: Direction;
  readonly messageId?: string;
  readonly destination?: string;
  readonly lane?: string;
  readonly reason: string;
  /** Codes and counts; no patient data. */
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface LoggedAction {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly direction: Direction | null;
  readonly message_id: string | null;
  readonly destination: string | null;
  readonly lane: string | null;
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Selection {
  readonly action: string;
  readonly direction: Direction;
  readonly messageIds: readonly string[];
  /** To which they are to be sent; null for an action that needs none. */
  readonly destination: string | null;
}

/** After this a count is asked for anew: what was counted has changed too much by then. */
export const SELECTION_MINUTES_MAX = 15;
export const ACTIONS_SHOWN_MAX = 200;

/** Table `hl7_action`, to which is only added, and the selections of bulk actions. */
@Injectable()
export class ActionStore {
  constructor(private readonly database: Database) {}

  /** In the transaction of the deed: neither is without the other. */
  async note(tx: Sql, one: OperatorAction): Promise<void> {
    const { actor, action, direction, messageId, destination, lane, reason, detail } = one;
    const values = [
      actor,
      action,
      direction ?? null,
      messageId ?? null,
      destination ?? null,
      lane ?? null,
      reason,
      JSON.stringify(detail ?? {}),
    ];
    await tx.run(NOTE, values);
  }

  /** Newest first. */
  newest(before: string | null): Promise<LoggedAction[]> {
    return this.database.run<LoggedAction>(NEWEST, [before, ACTIONS_SHOWN_MAX]);
  }

  ofMessage(messageId: string): Promise<LoggedAction[]> {
    return this.database.run<LoggedAction>(OF_MESSAGE, [messageId, ACTIONS_SHOWN_MAX]);
  }

  /** Keeps what was counted; gives the token under which the action is then done to exactly that. */
  async keepSelection(actor: string, one: Selection): Promise<string> {
    const token = randomBytes(18).toString('base64url');
    const { action, direction, messageIds, destination } = one;
    await this.database.run(KEEP, [token, actor, action, direction, messageIds, destination]);
    return token;
  }

  /** Once, and only for the one who counted. Null when there is none (any more). */
  async useSelection(tx: Transaction, actor: string, token: string): Promise<Selection | null> {
    const [row] = await tx.run<Selection>(USE, [token, actor, SELECTION_MINUTES_MAX]);
    return row ?? null;
  }
}

const NOTE: Statement = {
  name: 'hl7-action-note',
  text: `INSERT INTO hl7_action (actor, action, direction, message_id, destination, lane, reason, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
};
const COLUMNS = 'id::text AS id, at, actor, action, direction, message_id, destination, lane, reason, detail';
const NEWEST: Statement = {
  name: 'hl7-action-newest',
  text: `SELECT ${COLUMNS} FROM hl7_action a WHERE $1::bigint IS NULL OR a.id < $1::bigint ORDER BY a.id DESC LIMIT $2`,
};
const OF_MESSAGE: Statement = {
  name: 'hl7-action-of-message',
  text: `SELECT ${COLUMNS} FROM hl7_action a WHERE a.message_id = $1 ORDER BY a.id LIMIT $2`,
};
const KEEP: Statement = {
  name: 'hl7-selection-keep',
  text: `INSERT INTO hl7_selection (token, actor, action, direction, message_ids, destination) VALUES ($1, $2, $3, $4, $5, $6)`,
};
const USE: Statement = {
  name: 'hl7-selection-use',
  text: `UPDATE hl7_selection SET used_at = now() WHERE token = $1 AND actor = $2 AND used_at IS NULL
    AND created_at > now() - make_interval(mins => $3) RETURNING action, direction, message_ids AS "messageIds", destination`,
};
