import type { Subscription } from '@medplum/fhirtypes';
import type { Database } from '../database/database.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome } from '../queue/job.ts';
import { isTopicBased } from './backport.ts';
import { DELIVERY_QUEUE, type DeliveryDue } from './delivery-due.ts';
import { knownTopics } from './known-topics.ts';
import type { NotifyHost } from './notify-host.ts';
import { type ReadDelivery, readDelivery, type SubscriptionSettings } from './read-subscription.ts';
import { setStatus } from './set-status.ts';
import type { SubscriptionStore } from './subscription.store.ts';
import { isUnfollowed, unfollowed } from './unfollowed.ts';

/** Failures in a row until the Subscription says `error`. One lost connection is no error. */
export const ERROR_AFTER_FAILURES = 3;
/** With back-off up to a minute: about a day of patience. Then the Subscription is `off` (R4: "too many errors have occurred"). */
export const OFF_AFTER_FAILURES = 1_440;
export const RETRY_DELAY_MS = 1_000;
export const RETRY_DELAY_MS_MAX = 60_000;
/** Notifications of one run of the job; then others have their turn. */
export const NOTIFICATIONS_PER_RUN_MAX = 50;
/** Subscribers that are told at the same time by one process: one that is slow holds up none but itself until so many are. */
const SUBSCRIBERS_AT_ONCE = 16;

/** What a delivery works with. */
export interface Delivery {
  readonly database: Database;
  readonly resources: ResourceStore;
  readonly store: SubscriptionStore;
  readonly host: NotifyHost;
  readonly settings: SubscriptionSettings;
}

/**
 * Tells the subscriber of what the log holds beyond what it took: in order, one notification after the other, each until it is taken. An
 * event may be sent again when the process dies between the answer and the note of it; none is left out.
 */
export function deliveryHandler(delivery: Delivery): JobHandler<DeliveryDue> {
  return {
    queue: DELIVERY_QUEUE,
    concurrency: SUBSCRIBERS_AT_ONCE,
    attemptsMax: OFF_AFTER_FAILURES,
    async run(job: Job<DeliveryDue>): Promise<JobOutcome> {
      const { subscriptionId: id } = job.payload;
      for (let sent = 0; sent < NOTIFICATIONS_PER_RUN_MAX; sent++) {
        const found = await liveSubscription(delivery, id);
        if (!found) return { kind: 'done' };
        const state = await delivery.store.state(id);
        const events = await delivery.store.events(id, state.delivered, found.read.channel.maxCount);
        const last = events.at(-1);
        if (!last) return { kind: 'done' };
        try {
          await delivery.host.send(found.stored, found.read, state, { type: 'event-notification', events });
        } catch (error) {
          return await failed(delivery, id, error);
        }
        await delivery.store.delivered(id, last.number);
        await recovered(delivery, id, found.stored);
      }
      return { kind: 'again', afterMs: 0, why: 'more events wait', free: true };
    },
  };
}

/** The Subscription when it is to be told of events: active, or in error and to be tried again. Of one that is gone nothing stays. */
export async function liveSubscription(
  { resources, store, database, settings }: Delivery,
  id: string,
): Promise<{ stored: Subscription; read: ReadDelivery } | null> {
  const kept = await resources.read('Subscription', id);
  if (!kept || kept.deleted) {
    await store.forget(database, id);
    return null;
  }
  const stored = kept.parse<Subscription>();
  if (stored.status !== 'active' && stored.status !== 'error') return null;
  if (stored.end && new Date(stored.end) <= new Date()) return null;
  try {
    const topics = isTopicBased(stored) ? await knownTopics(resources, database) : NO_TOPICS;
    const read = readDelivery(stored, topics, settings);
    return read.channel.target.kind === 'rest-hook' ? { stored, read } : null;
  } catch (error) {
    // Its host was taken off the list, its topic is gone: its events wait for the day when that is put right.
    if (!(error instanceof Failure)) throw error;
    await setStatus({ database, resources }, id, ['active'], 'error', unfollowed(error.message));
    return null;
  }
}

/** Its listener has answered: `active` again, where that was what was wrong. */
export async function recovered(delivery: Delivery, id: string, stored: Subscription): Promise<void> {
  if (stored.status === 'error' && !isUnfollowed(stored)) await setStatus(delivery, id, ['error'], 'active');
}

const NO_TOPICS = new Map<string, never>();

/** One more failure: wait longer, say `error`, give up. */
export async function failed(delivery: Delivery, id: string, error: unknown): Promise<JobOutcome> {
  if (!(error instanceof Failure) || error.code !== 'subscription.not-delivered') throw error;
  const failures = await delivery.store.failed(id);
  const why = `${error.code}: ${error.message}`;
  if (failures >= OFF_AFTER_FAILURES) {
    await setStatus(
      delivery,
      id,
      ['active', 'error'],
      'off',
      `${why} Given up after ${failures} tries; ask again with the status requested.`,
    );
    return { kind: 'done' };
  }
  if (failures >= ERROR_AFTER_FAILURES)
    await setStatus(delivery, id, ['active'], 'error', `${why} It is tried again.`);
  return { kind: 'again', afterMs: retryDelay(failures), why };
}

/** 1, 2, 4, … up to 60 s, with up to a third of jitter so that many do not come back at the same moment. */
export function retryDelay(failures: number): number {
  const delay = Math.min(RETRY_DELAY_MS * 2 ** (failures - 1), RETRY_DELAY_MS_MAX);
  return Math.round(delay * (1 + Math.random() / 3));
}
