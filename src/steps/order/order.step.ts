import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { type AckOutcome, acknowledgements, outcomeOfFailure } from '../../hl7/ack.ts';
import { readMessage } from '../../hl7/codec.ts';
import { splitBatch } from '../../hl7/split-batch.ts';
import { actAs } from '../../kernel/acting.ts';
import { Failure } from '../../kernel/errors.ts';
import { GroupCommit } from '../../kernel/group-commit.ts';
import { fileOrders, orderKeys } from './file-order.ts';
import { type Answer, type InboundMessage, InboundMessageStore, keyOf } from './inbound-message.store.ts';
import { type OrderResources, orderToResources } from './order-to-resources.ts';

/** Senders answered together send again together (see `GroupCommit`); this gathers them, and is short beside a commit. */
const GATHER_MS = 2;

/** A message with the answer it will get, and its order unless it was refused when it was read. */
interface Incoming extends InboundMessage {
  readonly order: OrderResources | null;
}

/**
 * Order in: bytes → stored message and filed order in one transaction → acknowledgement. AA and AR are given only after the
 * commit; when the commit fails the answer is AE, and the sender keeps the message. Messages that come at the same time over several
 * connections share a transaction. It has no row in the flow: a study finds its order by number when it comes.
 */
@Injectable()
export class OrderStep {
  private readonly group = new GroupCommit<Incoming, readonly Buffer[]>((group) => this.keep(group), {
    gatherMs: GATHER_MS,
  });

  constructor(
    private readonly database: Database,
    private readonly store: ResourceStore,
    private readonly inbound: InboundMessageStore,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'SITE_TIME_ZONE'>,
  ) {}

  /** Answers one frame: a message, or a batch whose messages are answered one by one. Never throws. */
  async take(frame: Buffer): Promise<Buffer[]> {
    const answers: Buffer[] = [];
    for (const message of splitBatch(frame)) answers.push(...(await this.takeOne(message)));
    return answers;
  }

  private async takeOne(bytes: Buffer): Promise<readonly Buffer[]> {
    try {
      const incoming = this.read(bytes);
      return await this.group.add(incoming, keysOf(incoming));
    } catch (error) {
      return answersTo(bytes, { ...outcomeOfFailure(error), kind: 'error' });
    }
  }

  /** A refused message is stored too: somebody will ask what came. Throws what may pass with a later try. */
  private read(bytes: Buffer): Incoming {
    const key = keyOf(bytes);
    try {
      const order = orderToResources(readMessage(bytes), this.settings.SITE_TIME_ZONE);
      const acks = answersTo(bytes, { kind: 'accept' });
      return { key, bytes, order, acks, outcome: 'accept', flags: order.flags };
    } catch (error) {
      return { key, bytes, order: null, ...refusal(bytes, error), flags: [] };
    }
  }

  private keep(group: readonly Incoming[]): Promise<(readonly Buffer[])[]> {
    const senders = [...new Set(group.map(senderOf))].join(', ');
    const actor = { client: senders.slice(0, SENDERS_CHARS_MAX) };
    return actAs({ actor: () => actor, written: 0, shown: [], ended: false }, () => this.keepAs(group));
  }

  private keepAs(group: readonly Incoming[]): Promise<(readonly Buffer[])[]> {
    return this.database.transaction(async (tx) => {
      const kept = await this.inbound.keep(tx, group);
      const fresh = group.flatMap(({ order }, at) =>
        order && kept[at]?.kind === 'new' ? [{ order, at }] : [],
      );
      const filed = await fileOrders(
        tx,
        this.store,
        fresh.map(({ order }) => order),
      );
      const answers = group.map(({ acks }, at) => {
        const one = kept[at];
        return one?.kind === 'repeat' ? one.acks : acks;
      });
      for (const [n, { at }] of fresh.entries()) {
        const [failure, one, message] = [filed[n], kept[at], group[at]];
        if (!failure || one?.kind !== 'new' || !message) continue;
        const answer = refusal(message.bytes, failure);
        await this.inbound.amend(tx, one.id, answer);
        answers[at] = answer.acks;
      }
      await this.database.audit?.recordIn(
        tx,
        group.map((message, at) => ({
          kind: 'message',
          interaction: 'hl7-in',
          action: 'C',
          outcome: message.order === null || filed[fresh.findIndex((one) => one.at === at)] ? 4 : 0,
          entity: `urn:prelim:hl7:${message.key.hash.toString('hex')}`,
          actor: { client: senderOf(message) },
        })),
      );
      return answers;
    });
  }
}

/** MSH-3 and MSH-4, as the audit names the client. */
const senderOf = ({ key }: Incoming): string => `HL7 ${key.application}|${key.facility}`;
/** Of all senders of a group. */
const SENDERS_CHARS_MAX = 400;

/** Why a message is refused for good; throws the error again when it may pass with a later try. */
function refusal(bytes: Buffer, error: unknown): Omit<Answer, 'flags'> {
  const outcome = outcomeOfFailure(error);
  if (outcome.kind !== 'reject' || !(error instanceof Failure)) throw error;
  return { acks: answersTo(bytes, outcome), outcome: error.code };
}

/** What messages of one group must not share: their bytes, their control id, their numbers. */
function keysOf({ key, order }: Incoming): string[] {
  const controlId = key.controlId === '' ? [] : [`id ${key.application} ${key.facility} ${key.controlId}`];
  return [key.hash.toString('hex'), ...controlId, ...(order ? orderKeys(order) : [])];
}

function answersTo(bytes: Buffer, outcome: AckOutcome): Buffer[] {
  const controlId = `A${randomUUID().replaceAll('-', '').slice(0, 17)}`;
  return acknowledgements(bytes, outcome, { now: new Date(), controlId });
}
