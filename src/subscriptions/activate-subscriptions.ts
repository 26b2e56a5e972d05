import type { Subscription } from '@medplum/fhirtypes';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome, JobRequest } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';
import { isTopicBased } from './backport.ts';
import { type Delivery, retryDelay } from './deliver-events.ts';
import { knownTopics } from './known-topics.ts';
import { readDelivery } from './read-subscription.ts';
import { setStatus } from './set-status.ts';
import { startSending } from './start-sending.ts';

interface ActivationDue {
  readonly subscriptionId: string;
}

export const ACTIVATION_QUEUE = 'subscription-activation';
export const END_QUEUE = 'subscription-end';

/** A listener that refuses or is not there when it is asked is not asked for long: its author waits for the answer. */
export const HANDSHAKE_ATTEMPTS_MAX = 3;

/**
 * A client may only ask (`requested`); the server switches on (R4 subscription.html, "status"), and off again at `end`. The jobs commit with
 * the Subscription.
 */
export function queueActivations(store: ResourceStore, outbox: Outbox): void {
  store.onChange(async (tx, changes) => {
    for (const change of changes) {
      const subscription = change.type === 'Subscription' ? (change.resource as Subscription | null) : null;
      if (!subscription || subscription.status === 'off') continue;
      const payload: ActivationDue = { subscriptionId: change.id };
      const jobs: JobRequest<object>[] = [];
      if (subscription.status === 'requested')
        jobs.push({ queue: ACTIVATION_QUEUE, payload, lane: `activate:${change.id}` });
      if (subscription.end) {
        const notBefore = new Date(subscription.end);
        jobs.push({ queue: END_QUEUE, payload, key: `${change.id} ${notBefore.getTime()}`, notBefore });
      }
      if (jobs.length > 0) await outbox.add(tx, jobs);
    }
  });
}

/**
 * Topic-based Subscriptions by rest-hook get a handshake first (Subscriptions R5 Backport, "Handshake"): only a listener that takes it is
 * told anything else. One that does not is switched off, with the reason in `Subscription.error`.
 */
export function activationHandler(delivery: Delivery, outbox: Outbox): JobHandler<ActivationDue> {
  const { resources, database, store, host, settings } = delivery;
  return {
    queue: ACTIVATION_QUEUE,
    concurrency: 4,
    attemptsMax: 10,
    async run(job: Job<ActivationDue>): Promise<JobOutcome> {
      const { subscriptionId: id } = job.payload;
      const kept = await resources.read('Subscription', id);
      const stored = kept && !kept.deleted ? kept.parse<Subscription>() : null;
      if (!kept || stored?.status !== 'requested') return { kind: 'done' };
      const read = readDelivery(stored, await knownTopics(resources, database), settings);
      if (isTopicBased(stored)) {
        try {
          await host.send(stored, read, await store.state(id), { type: 'handshake', events: [] });
        } catch (error) {
          if (!(error instanceof Failure) || error.code !== 'subscription.not-delivered') throw error;
          const why = `${error.code}: ${error.message}`;
          if (job.attempt < HANDSHAKE_ATTEMPTS_MAX)
            return { kind: 'again', afterMs: retryDelay(job.attempt), why };
          await setStatus(delivery, id, ['requested'], 'off', `The handshake was not accepted. ${why}`);
          return { kind: 'done' };
        }
      }
      const { error: _old, ...rest } = stored;
      return {
        kind: 'done',
        write: async (tx) => {
          const active = { ...rest, id, status: 'active' as const };
          await resources.write(tx, [{ kind: 'update', resource: active, ifVersion: kept.versionId }]);
          await store.start(tx, id);
          await startSending(outbox, tx, read);
        },
      };
    },
  };
}

/** R4 Subscription.end: then it is over. One whose end was moved meanwhile has a job of its own. */
export function endHandler(delivery: Delivery): JobHandler<ActivationDue> {
  return {
    queue: END_QUEUE,
    concurrency: 2,
    attemptsMax: 50,
    async run(job: Job<ActivationDue>): Promise<JobOutcome> {
      const { subscriptionId: id } = job.payload;
      const kept = await delivery.resources.read('Subscription', id);
      const end = kept && !kept.deleted ? kept.parse<Subscription>().end : undefined;
      if (end && new Date(end) <= new Date()) {
        const ended = await setStatus(delivery, id, ['requested', 'active', 'error'], 'off');
        const still =
          !ended &&
          (await delivery.resources.read('Subscription', id))?.parse<Subscription>().status !== 'off';
        if (still) return { kind: 'again', afterMs: 1_000, why: 'the Subscription is being written' };
      }
      return { kind: 'done' };
    },
  };
}
