import type { Extension, Subscription } from '@medplum/fhirtypes';

/** Names of the Subscriptions R5 Backport IG (1.1.0) for R4. */
const IG = 'http://hl7.org/fhir/uv/subscriptions-backport';

export const BACKPORT = {
  subscriptionProfile: `${IG}/StructureDefinition/backport-subscription`,
  notificationProfile: `${IG}/StructureDefinition/backport-subscription-notification-r4`,
  statusProfile: `${IG}/StructureDefinition/backport-subscription-status-r4`,
  filterCriteria: `${IG}/StructureDefinition/backport-filter-criteria`,
  heartbeatPeriod: `${IG}/StructureDefinition/backport-heartbeat-period`,
  timeout: `${IG}/StructureDefinition/backport-timeout`,
  maxCount: `${IG}/StructureDefinition/backport-max-count`,
  channelType: `${IG}/StructureDefinition/backport-channel-type`,
  payloadContent: `${IG}/StructureDefinition/backport-payload-content`,
  topicCanonical: `${IG}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical`,
  statusOperation: `${IG}/OperationDefinition/backport-subscription-status`,
  eventsOperation: `${IG}/OperationDefinition/backport-subscription-events`,
  tokenOperation: `${IG}/OperationDefinition/backport-subscription-get-ws-binding-token`,
} as const;

export type PayloadContent = 'empty' | 'id-only' | 'full-resource';

interface Extended {
  readonly extension?: readonly Extension[];
}

/** `Subscription._criteria` and `channel._payload`: elements that carry extensions beside a primitive. */
export function besides(subscription: Subscription): {
  criteria: readonly Extension[];
  payload: readonly Extension[];
  channelType: readonly Extension[];
} {
  const top = subscription as { _criteria?: Extended };
  const channel = subscription.channel as { _payload?: Extended; _type?: Extended };
  return {
    criteria: top._criteria?.extension ?? [],
    payload: channel._payload?.extension ?? [],
    channelType: channel._type?.extension ?? [],
  };
}

/** Criteria of a topic-based Subscription are the URL of its topic; of a plain R4 one a search on one type. */
export const isTopicBased = (subscription: Subscription): boolean =>
  /^[a-z][a-z0-9+.-]*:/.test(subscription.criteria) ||
  subscription.meta?.profile?.includes(BACKPORT.subscriptionProfile) === true;
