import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database, type Transaction } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { type AckOutcome, acknowledgements, outcomeOfFailure } from '../../hl7/ack.ts';
import { readMessage } from '../../hl7/codec.ts';
import { splitBatch } from '../../hl7/split-batch.ts';
import { Failure } from '../../kernel/errors.ts';
import { fileOrder } from './file-order.ts';
import { InboundMessageStore } from './inbound-message.store.ts';
import { type OrderResources, orderToResources } from './order-to-resources.ts';

/**
 * Order in: bytes → stored message and filed order in one transaction → acknowledgement. AA and AR are given only after the
 * commit; when the commit fails the answer is AE, and the sender keeps the message. It has no row in the flow: a study finds
 * its order by number when it comes.
 */
@Injectable()
export class OrderStep {
  /** Zone of times without one: that of the machine (`TZ`). */
  private readonly timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  constructor(
    private readonly database: Database,
    private readonly store: ResourceStore,
    private readonly inbound: InboundMessageStore,
  ) {}

  /** Answers one frame: a message, or a batch whose messages are answered one by one. Never throws. */
  async take(frame: Buffer): Promise<Buffer[]> {
    const answers: Buffer[] = [];
    for (const message of splitBatch(frame)) answers.push(...(await this.takeOne(message)));
    return answers;
  }

  private async takeOne(bytes: Buffer): Promise<Buffer[]> {
    try {
      return await this.accept(bytes, orderToResources(readMessage(bytes), this.timeZone));
    } catch (error) {
      const outcome = outcomeOfFailure(error);
      if (outcome.kind === 'reject' && error instanceof Failure) return this.refuse(bytes, outcome, error);
      return keepIt(bytes, outcome);
    }
  }

  private accept(bytes: Buffer, order: OrderResources): Promise<Buffer[]> {
    return this.keep(bytes, { kind: 'accept' }, 'accept', order.flags, (tx) =>
      fileOrder(tx, this.store, order),
    );
  }

  /** A refused message is stored too: somebody will ask what came. */
  private async refuse(bytes: Buffer, outcome: AckOutcome, failure: Failure): Promise<Buffer[]> {
    try {
      return await this.keep(bytes, outcome, failure.code, [], async () => {});
    } catch (error) {
      return keepIt(bytes, outcomeOfFailure(error));
    }
  }

  private keep(
    bytes: Buffer,
    outcome: AckOutcome,
    name: string,
    flags: readonly string[],
    work: (tx: Transaction) => Promise<void>,
  ): Promise<Buffer[]> {
    return this.database.transaction(async (tx) => {
      const begun = await this.inbound.begin(tx, bytes);
      if (begun.kind === 'repeat') return [...begun.acks];
      await work(tx);
      const acks = acknowledgements(bytes, outcome, { now: new Date(), controlId: `A${begun.id}` });
      const all = begun.controlIdReused ? [...flags, 'control-id-reused'] : flags;
      await this.inbound.finish(tx, begun.id, { acks, outcome: name, flags: all });
      return acks;
    });
  }
}

/** Not stored: the sender must keep it. */
function keepIt(bytes: Buffer, outcome: AckOutcome): Buffer[] {
  const kept: AckOutcome = outcome.kind === 'error' ? outcome : { ...outcome, kind: 'error' };
  return acknowledgements(bytes, kept, {
    now: new Date(),
    controlId: `E${randomUUID().replaceAll('-', '').slice(0, 18)}`,
  });
}
