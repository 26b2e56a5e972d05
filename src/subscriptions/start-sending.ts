import type { Transaction } from '../database/database.ts';
import type { Outbox } from '../queue/outbox.ts';
import { DELIVERY_QUEUE, type DeliveryDue } from './delivery-due.ts';
import { HEARTBEAT_QUEUE } from './heartbeat.ts';
import type { ReadDelivery } from './read-subscription.ts';

/** A rest-hook that is active from now on is told what is still owed from a time in error or off, and its signs of life begin. */
export async function startSending(
  outbox: Outbox,
  tx: Transaction,
  { id, channel, topic }: ReadDelivery,
): Promise<void> {
  if (channel.target.kind !== 'rest-hook') return;
  const payload: DeliveryDue = { subscriptionId: id };
  await outbox.add(tx, [{ queue: DELIVERY_QUEUE, key: id, payload }]);
  const every = channel.heartbeatMs;
  if (every && topic)
    await outbox.add(tx, [
      { queue: HEARTBEAT_QUEUE, key: id, payload, notBefore: new Date(Date.now() + every) },
    ]);
}
