import type { Job, JobHandler, JobOutcome } from '../queue/job.ts';
import { type Delivery, failed, liveSubscription, recovered } from './deliver-events.ts';

export const HEARTBEAT_QUEUE = 'subscription-heartbeat';

interface HeartbeatDue {
  readonly subscriptionId: string;
}

/**
 * Subscriptions R5 Backport, `backport-heartbeat-period`: when nothing was sent for this long, a notification of type `heartbeat` says that
 * all is well. It has no event and no number of its own. The job lives as long as the Subscription does.
 */
export function heartbeatHandler(delivery: Delivery): JobHandler<HeartbeatDue> {
  const { store, host } = delivery;
  return {
    queue: HEARTBEAT_QUEUE,
    concurrency: 4,
    attemptsMax: Number.MAX_SAFE_INTEGER,
    async run(job: Job<HeartbeatDue>): Promise<JobOutcome> {
      const { subscriptionId: id } = job.payload;
      const found = await liveSubscription(delivery, id);
      const every = found?.read.channel.heartbeatMs;
      if (!found || !every || !found.read.topic) return { kind: 'done' };
      const state = await store.state(id);
      const quietMs = Date.now() - (state.lastSent?.getTime() ?? 0);
      // While deliveries fail they are the sign of life that is waited for.
      if (quietMs < every) return waits(every - quietMs);
      if (state.delivered < state.events) return waits(every);
      try {
        await host.send(found.stored, found.read, state, { type: 'heartbeat', events: [] });
      } catch (error) {
        return await failed(delivery, id, error);
      }
      await store.delivered(id, state.delivered);
      await recovered(delivery, id, found.stored);
      return waits(every);
    },
  };
}

const waits = (afterMs: number): JobOutcome => ({
  kind: 'again',
  afterMs,
  why: 'the next heartbeat',
  free: true,
});
