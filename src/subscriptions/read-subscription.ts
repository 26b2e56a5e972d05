import type { Subscription } from '@medplum/fhirtypes';
import type { Settings } from '../config/settings.ts';
import type { AccessContext } from '../fhir/access-context.ts';
import { Failure } from '../kernel/errors.ts';
import { isTopicBased } from './backport.ts';
import { type Channel, readChannel } from './channel/read-channel.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import { plainWatch, topicWatches, type Watch } from './watch.ts';

/** A Subscription as the matcher and the delivery need it. */
export interface ReadSubscription {
  readonly id: string;
  /** Null: a plain R4 Subscription, whose criteria are a search. */
  readonly topic: SubscriptionTopic | null;
  readonly watches: readonly Watch[];
  readonly channel: Channel;
  /** What its author may see; absent: the server's own, or not looked up. */
  readonly access?: AccessContext;
}

export type SubscriptionSettings = Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>;

/** Kinds of resource nobody can subscribe to: they follow from deliveries and reads, and would feed on themselves. */
export const NEVER_MATCHED: ReadonlySet<string> = new Set(['AuditEvent', 'Subscription']);

/**
 * Reads criteria, filters and channel. `topics`: the topics that are known, by URL.
 *
 * @throws Failure `fhir.invalid` or `fhir.unsupported` that says what is offered
 */
export function readSubscription(
  subscription: Subscription,
  topics: ReadonlyMap<string, SubscriptionTopic>,
  settings: SubscriptionSettings,
): ReadSubscription {
  const base = `${settings.baseUrl}/fhir`;
  const topic = isTopicBased(subscription) ? topicOf(subscription, topics) : null;
  const watches = topic ? topicWatches(subscription, topic, base) : [plainWatch(subscription, base)];
  const never = watches.find(({ type }) => NEVER_MATCHED.has(type));
  if (never) throw new Failure('fhir.unsupported', `Nobody can subscribe to ${never.type}.`);
  const type = topic ? null : (watches[0]?.type ?? null);
  const channel = readChannel(subscription, type, settings.baseUrl, settings.SUBSCRIPTION_HOSTS);
  return { id: String(subscription.id), topic, watches, channel };
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
