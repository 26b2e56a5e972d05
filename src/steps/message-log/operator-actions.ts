import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Database, type Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { FILING_KEY, FILING_QUEUE } from '../../kernel/handoffs.ts';
import { LOGGER } from '../../kernel/log.ts';
import { OutboundActionsHost, type OutboundHold, type StandingHold } from '../../queue/outbound-actions.ts';
import { Outbox } from '../../queue/outbox.ts';
import { ActionStore } from './action.store.ts';
import { MessageLogStore, unknownMessage } from './message-log.store.ts';
import type { Direction, MessageQuery } from './message-query.ts';

/** Which hold it was, who had set it, when and why. */
const detailOf = ({ lane, at, by, reason }: OutboundHold) => ({
  held: lane === null ? 'destination' : 'lane',
  heldAt: at.toISOString(),
  heldBy: by,
  heldReason: reason,
});

/** What can be done to one message, by direction. */
export const MESSAGE_ACTIONS = {
  in: ['replay', 'discard'],
  out: ['resend', 'rebuild', 'send-to', 'discard'],
} as const satisfies Record<Direction, readonly string[]>;
export type MessageAction = 'replay' | 'resend' | 'rebuild' | 'send-to' | 'discard';

/** Who does it and why. */
export interface Because {
  readonly actor: string;
  readonly reason: string;
  /** Resend older bytes though a newer version of the report was sent. */
  readonly overNewer?: boolean;
  /** Of `send-to`. */
  readonly destination?: string;
}

export interface BulkCount {
  readonly action: MessageAction;
  readonly direction: Direction;
  readonly count: number;
  /** There are more than one bulk action takes; do it again afterwards. */
  readonly more: boolean;
  /** Time of the last one counted, when there are more: what comes after it is found from then on. */
  readonly goOnFrom: string | null;
  /** Names exactly what was counted. */
  readonly token: string;
}

export interface BulkEnd {
  readonly done: number;
  /** Messages that had changed meanwhile: failure code → how many. */
  readonly skipped: Readonly<Record<string, number>>;
}

/** Each message is a transaction of a few milliseconds: so many end within the patience of a person and of a proxy. */
export const BULK_MESSAGES_MAX = 1_000;

/**
 * What an operator can do. Each deed and its line in the log are one transaction. A bulk action is counted first, then done to exactly the messages
 * that were counted, each in a transaction of its own: what cannot be done to one of them is said and does not undo the others.
 */
@Injectable()
export class OperatorActions {
  constructor(
    private readonly database: Database,
    private readonly messages: MessageLogStore,
    private readonly log: ActionStore,
    private readonly outbound: OutboundActionsHost,
    private readonly outbox: Outbox,
    @Inject(LOGGER) private readonly logger: Pick<Logger, 'warn'>,
  ) {}

  async toMessage(direction: Direction, id: string, action: MessageAction, because: Because): Promise<void> {
    await this.database.transaction((tx) => this.act(tx, direction, id, action, because));
    if (action === 'replay') await this.callFiling();
  }

  /** The hold that stands then: somebody else's stays as it was. */
  async hold(
    target: { destination: string; lane: string | null },
    { actor, reason }: Because,
  ): Promise<StandingHold> {
    const { destination, lane } = target;
    const hold = await this.database.transaction(async (tx) => {
      const { actions } = this.outbound;
      const standing =
        lane === null
          ? await actions.holdDestination(tx, destination, actor, reason)
          : await actions.holdLane(tx, { lane, destination }, actor, reason);
      const detail = standing.already ? { already: true, ...detailOf(standing) } : {};
      await this.noteHold(tx, 'hold', standing, { actor, reason }, detail);
      return standing;
    });
    this.logger.warn({ destination, lane: lane !== null }, 'held by an operator');
    return hold;
  }

  /** The hold that is gone. Throws `hl7.not-held` when there is nothing to release. */
  async release(
    target: { destination: string; lane: string | null },
    { actor, reason }: Because,
  ): Promise<OutboundHold> {
    const { destination, lane } = target;
    const hold = await this.database.transaction(async (tx) => {
      const { actions } = this.outbound;
      const was =
        lane === null
          ? await actions.releaseDestination(tx, destination)
          : await actions.releaseLane(tx, lane);
      if (was === null)
        throw new Failure('hl7.not-held', 'This is not held: look at GET /hl7/lanes for what is.');
      await this.noteHold(tx, 'release', was, { actor, reason }, detailOf(was));
      return was;
    });
    this.logger.warn({ destination, lane: lane !== null }, 'released by an operator');
    return hold;
  }

  /** Under the destination that the hold itself names: a lane is found without it. */
  private noteHold(
    tx: Transaction,
    action: 'hold' | 'release',
    { destination, lane }: OutboundHold,
    { actor, reason }: Because,
    detail: Readonly<Record<string, string | boolean>>,
  ): Promise<void> {
    return this.log.note(tx, {
      ...{ actor, action, destination, reason, detail },
      ...(lane === null ? {} : { lane }),
    });
  }

  async count(
    query: MessageQuery,
    direction: Direction,
    action: MessageAction,
    { actor, destination }: Pick<Because, 'actor' | 'destination'>,
  ): Promise<BulkCount> {
    const found = await this.messages.select(direction, query, BULK_MESSAGES_MAX + 1);
    const taken = found.slice(0, BULK_MESSAGES_MAX);
    const messageIds = taken.map(({ id }) => id);
    const kept = { action, direction, messageIds, destination: destination ?? null };
    const token = await this.log.keepSelection(actor, kept);
    const more = found.length > taken.length;
    const goOnFrom = more ? (taken.at(-1)?.at.toISOString() ?? null) : null;
    return { action, direction, count: messageIds.length, more, goOnFrom, token };
  }

  /** Throws `hl7.selection` when the token names nothing (any more). */
  async toSelection(token: string, because: Because): Promise<BulkEnd> {
    const selection = await this.database.transaction(async (tx) => {
      const one = await this.log.useSelection(tx, because.actor, token);
      if (one === null)
        throw new Failure(
          'hl7.selection',
          'This count is too old, was used, or is of somebody else: count again.',
        );
      const { destination } = one;
      const detail = { messages: one.messageIds.length };
      await this.log.note(tx, {
        ...(destination === null ? {} : { destination }),
        actor: because.actor,
        action: `bulk-${one.action}`,
        direction: one.direction,
        reason: because.reason,
        detail,
      });
      return one;
    });
    const to = selection.destination === null ? {} : { destination: selection.destination };
    const skipped: Record<string, number> = {};
    let done = 0;
    for (const [at, id] of selection.messageIds.entries()) {
      const action = selection.action as MessageAction;
      const fault = await this.database
        .transaction((tx) => this.act(tx, selection.direction, id, action, { ...because, ...to }))
        .then(() => null, this.faultOf);
      if (fault === null) {
        done += 1;
        continue;
      }
      // The others would meet the same trouble: what was done is said, and that these were not.
      const left = fault.isOfAll ? selection.messageIds.length - at : 1;
      skipped[fault.code] = (skipped[fault.code] ?? 0) + left;
      if (fault.isOfAll) break;
    }
    if (selection.action === 'replay') await this.callFiling();
    return { done, skipped };
  }

  private async act(
    tx: Transaction,
    direction: Direction,
    id: string,
    action: MessageAction,
    because: Because,
  ): Promise<void> {
    const message = await this.messages.listed(direction, id, tx);
    if (message === null) throw unknownMessage();
    const { actor, reason } = because;
    if (direction === 'in') await this.actOnInbound(tx, id, action);
    else await this.actOnOutbound(tx, id, action, because);
    const detail = {
      status: message.status,
      error: message.reason,
      ...(because.overNewer ? { overNewer: true } : {}),
      ...(action === 'send-to' ? { to: because.destination ?? null } : {}),
    };
    await this.log.note(tx, {
      actor,
      action,
      direction,
      messageId: id,
      ...(message.destination === null ? {} : { destination: message.destination }),
      ...(message.lane === null ? {} : { lane: message.lane }),
      reason,
      detail,
    });
  }

  private async actOnInbound(tx: Transaction, id: string, action: MessageAction): Promise<void> {
    const done =
      action === 'replay'
        ? await this.messages.fileAgain(tx, id)
        : await this.messages.discardInbound(tx, id);
    if (!done)
      throw new Failure(
        'hl7.not-open',
        'Only a message that filing holds can be filed again or discarded: this one has ended or waits.',
      );
  }

  private async actOnOutbound(
    tx: Transaction,
    id: string,
    action: MessageAction,
    because: Because,
  ): Promise<void> {
    const { actions } = this.outbound;
    if (action === 'resend') await actions.resend(tx, id, { overNewer: because.overNewer ?? false });
    else if (action === 'rebuild') await actions.rebuild(tx, id);
    else if (action === 'send-to') await actions.sendTo(tx, id, because.destination ?? '');
    else await actions.discard(tx, id, because.reason);
  }

  /** Why one of many was not done, and whether that is no matter of this one. */
  private readonly faultOf = (error: unknown): { readonly code: string; readonly isOfAll: boolean } => {
    if (error instanceof Failure) return { code: error.code, isOfAll: error.retry };
    this.logger.warn({ err: error instanceof Error ? error.name : 'unknown' }, 'a bulk action broke off');
    return { code: 'internal', isOfAll: true };
  };

  /** After the commit; when this is lost, the sweep of the inlet makes up for it. */
  private async callFiling(): Promise<void> {
    await this.database
      .transaction((tx) => this.outbox.add(tx, [{ queue: FILING_QUEUE, key: FILING_KEY, payload: {} }]))
      .catch(() => undefined);
  }
}
