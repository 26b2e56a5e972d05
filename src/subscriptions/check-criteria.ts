import type { Subscription } from '@medplum/fhirtypes';
import type { JobHandler, JobOutcome } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';
import type { ActiveSubscriptions } from './active-subscriptions.ts';
import type { Delivery } from './deliver-events.ts';
import { setStatus } from './set-status.ts';
import { startSending } from './start-sending.ts';
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
          await database.transaction((tx) => startSending(outbox, tx, read));
      }
      return { kind: 'done' };
    },
  };
}
