import type { Subscription } from '@medplum/fhirtypes';
import type { Settings } from '../config/settings.ts';
import type { AccessContext } from '../fhir/access-context.ts';
import type { CodeSets } from '../fhir/match-criteria.ts';
import { Failure } from '../kernel/errors.ts';
import { isTopicBased } from './backport.ts';
import { type Channel, readChannel } from './channel/read-channel.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import { plainWatch, topicWatches, type Watch } from './watch.ts';

/** A Subscription as the delivery needs it. */
export interface ReadDelivery {
  readonly id: string;
  /** Null: a plain R4 Subscription, whose criteria are a search. */
  readonly topic: SubscriptionTopic | null;
  readonly channel: Channel;
}

/** And as the matcher does. */
export interface ReadSubscription extends ReadDelivery {
  readonly watches: readonly Watch[];
  /** What its author may see; absent: the server's own, or not looked up. */
  readonly access?: AccessContext;
}

export type SubscriptionSettings = Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>;

/** Kinds of resource nobody can subscribe to: they follow from deliveries and reads, and would feed on themselves. */
export const NEVER_MATCHED: ReadonlySet<string> = new Set(['AuditEvent', 'Subscription']);

/**
 * Reads criteria, filters and channel. `topics`: the topics that are known, by URL. `sets`: what value sets in the criteria stand for; where it has open
 * questions afterwards, they are to be looked up and the Subscription read again.
 *
 * @throws Failure `fhir.invalid` or `fhir.unsupported` that says what is offered
 */
export function readSubscription(
  subscription: Subscription,
  topics: ReadonlyMap<string, SubscriptionTopic>,
  settings: SubscriptionSettings,
  sets: CodeSets,
): ReadSubscription {
  const base = `${settings.baseUrl}/fhir`;
  const topic = isTopicBased(subscription) ? topicOf(subscription, topics) : null;
  const watches = topic
    ? topicWatches(subscription, topic, base, sets)
    : [plainWatch(subscription, base, sets)];
  const never = watches.find(({ type }) => NEVER_MATCHED.has(type));
  if (never) {
    const text = `Nobody can subscribe to ${never.type}.`;
    throw new Failure('fhir.unsupported', text, { issues: [{ at: 'Subscription.criteria', text }] });
  }
  return { ...readDelivery(subscription, topics, settings), watches };
}

/**
 * Where and how to tell, without what to listen for: that was read when the Subscription was written, and is by whoever matches.
 *
 * @throws Failure `fhir.invalid` or `fhir.unsupported` that says what is offered
 */
export function readDelivery(
  subscription: Subscription,
  topics: ReadonlyMap<string, SubscriptionTopic>,
  settings: SubscriptionSettings,
): ReadDelivery {
  const topic = isTopicBased(subscription) ? topicOf(subscription, topics) : null;
  const type = topic ? null : (/^[A-Za-z]+/.exec(subscription.criteria)?.[0] ?? null);
  const channel = readChannel(subscription, type, settings.baseUrl, settings.SUBSCRIPTION_HOSTS);
  return { id: String(subscription.id), topic, channel };
}

function topicOf(
  subscription: Subscription,
  topics: ReadonlyMap<string, SubscriptionTopic>,
): SubscriptionTopic {
  const [url = ''] = subscription.criteria.split('|');
  const topic = topics.get(url);
  if (topic?.status === 'active') return topic;
  const message =
    'Subscription.criteria names no active topic of this server; see Basic?code=SubscriptionTopic for those there are.';
  throw new Failure('fhir.invalid', message, { issues: [{ at: 'Subscription.criteria', text: message }] });
}
