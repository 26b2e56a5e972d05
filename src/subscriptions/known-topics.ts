import type { Basic } from '@medplum/fhirtypes';
import type { Sql } from '../database/database.ts';
import type { CodeSets } from '../fhir/match-criteria.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { basicToTopic, isTopic } from './topics/basic-to-topic.ts';
import { SHIPPED_TOPICS, shippedTopicId } from './topics/shipped-topics.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import { topicToBasic } from './topics/topic-to-basic.ts';
import { checkTopic } from './watch.ts';

/** A site has a handful; each is read with every look at the Subscriptions after one has changed. */
export const TOPICS_MAX = 500;

const SHIPPED: ReadonlyMap<string, SubscriptionTopic> = new Map(
  SHIPPED_TOPICS.map((topic) => [topic.url, topic]),
);

/** Our own topics, as they stand in the store for everybody to read. */
export const shippedBasics = (): (Basic & { id: string })[] =>
  SHIPPED_TOPICS.map((topic) => topicToBasic(topic, shippedTopicId(topic.url)));

/** The topics by URL: ours and those that were loaded as Basic. One that cannot be read is left out. */
export async function knownTopics(
  store: ResourceStore,
  sql?: Sql,
): Promise<ReadonlyMap<string, SubscriptionTopic>> {
  const { matches } = await store.search(
    'Basic',
    `code=http://hl7.org/fhir/fhir-types|SubscriptionTopic&_count=${TOPICS_MAX}`,
    sql,
  );
  const topics = new Map<string, SubscriptionTopic>();
  for (const stored of matches) {
    try {
      const topic = basicToTopic(stored.parse<Basic>());
      topics.set(topic.url, topic);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }
  // Ours last: nobody redefines them.
  return new Map([...topics, ...SHIPPED]);
}

/** Refuses a Basic that says it is a topic and is none that this server could follow. */
export function checkTopicWritten(basic: Basic, base: string, sets: CodeSets): void {
  if (!isTopic(basic)) return;
  const topic = basicToTopic(basic);
  const shipped = SHIPPED.get(topic.url);
  if (shipped && basic.id !== shippedTopicId(shipped.url))
    throw new Failure(
      'fhir.invalid',
      'A topic with this URL comes with the server; give yours a URL of its own.',
      {
        issues: [{ at: 'Basic.extension', text: 'the URL belongs to a topic of the server' }],
      },
    );
  checkTopic(topic, base, sets);
}
