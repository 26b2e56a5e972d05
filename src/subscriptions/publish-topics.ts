import type { Database } from '../database/database.ts';
import type { OperationRegistry } from '../fhir/operation-registry.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { BACKPORT } from './backport.ts';
import { shippedBasics } from './known-topics.ts';
import { SHIPPED_TOPICS } from './topics/shipped-topics.ts';

/** Our topics stand in the store, so that they are found and read like those of a site. What is there and the same is left alone. */
export async function keepTopics(database: Database, store: ResourceStore): Promise<void> {
  await database.transaction((tx) =>
    store.write(
      tx,
      shippedBasics().map((resource) => ({ kind: 'update', resource, unchanged: 'skip' }) as const),
    ),
  );
}

/** For the CapabilityStatement: channels, the backport profile, the topics that come with the server, the address of the WebSocket. */
export function describeSubscriptions(operations: OperationRegistry, socketUrl: string): void {
  operations.describe('Subscription', CHANNELS);
  operations.support('Subscription', {
    profiles: [BACKPORT.subscriptionProfile],
    extensions: SHIPPED_TOPICS.map(({ url }) => ({ url: BACKPORT.topicCanonical, valueCanonical: url })),
    restExtensions: [
      { url: 'http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket', valueUri: socketUrl },
    ],
  });
}

const CHANNELS =
  'Channels: rest-hook, with or without payload application/fhir+json, and websocket. Criteria: a search on one type, or the URL of a topic ' +
  '(Subscriptions R5 Backport; topics are Basic resources with the code SubscriptionTopic). The endpoint is on a host that the ' +
  'setting SUBSCRIPTION_HOSTS names, or ImagingStudy/$analyze?model=<id> of this server.';
