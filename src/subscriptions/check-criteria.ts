import type { Subscription } from '@medplum/fhirtypes';
import type { Transaction } from '../database/database.ts';
import type { JobHandler, JobOutcome } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';
import type { ActiveSubscriptions } from './active-subscriptions.ts';
import type { Delivery } from './deliver-events.ts';
import { DELIVERY_QUEUE } from './delivery-due.ts';
import { HEARTBEAT_QUEUE } from './heartbeat.ts';
import type { ReadSubscription } from './read-subscription.ts';
import { setStatus } from './set-status.ts';
import { CRITERIA_QUEUE, isUnfollowed, unfollowed } from './unfollowed.ts';

/**
 * A value set, a topic, a search parameter or a host that a Subscription names can go away behind its back, and come back. Its author is told: the status
 * becomes `error` with the reason, and `active` again.
 */
export function criteriaHandler(
  delivery: Delivery,
  active: Pick<ActiveSubscriptions, 'check'>,
  outbox: Outbox,
): JobHandler<Record<string, never>> {
  const { database, resources, store } = delivery;
  return {
    queue: CRITERIA_QUEUE,
    concurrency: 1,
    attemptsMax: 20,
    async run(): Promise<JobOutcome> {
      const live = await store.live(database);
      const stored = await resources.readMany(live.map(({ id }) => ({ type: 'Subscription', id })));
      const checked = await active.check(
        database,
        stored.map((one) => one.parse<Subscription>()),
      );
      for (const { subscription, read, why } of checked) {
        const id = String(subscription.id);
        if (why !== null) await setStatus(delivery, id, ['active'], 'error', unfollowed(why));
        else if (read && isUnfollowed(subscription) && (await setStatus(delivery, id, ['error'], 'active')))
          await database.transaction((tx) => goOn(outbox, tx, read));
      }
      return { kind: 'done' };
    },
  };
}

/** What had waited is told, and the signs of life begin again. */
async function goOn(
  outbox: Outbox,
  tx: Transaction,
  { id, channel, topic }: ReadSubscription,
): Promise<void> {
  if (channel.target.kind !== 'rest-hook') return;
  const payload = { subscriptionId: id };
  await outbox.add(tx, [{ queue: DELIVERY_QUEUE, key: id, payload }]);
  const every = channel.heartbeatMs;
  if (every && topic)
    await outbox.add(tx, [
      { queue: HEARTBEAT_QUEUE, key: id, payload, notBefore: new Date(Date.now() + every) },
    ]);
}
