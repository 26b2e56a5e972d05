import { randomUUID } from 'node:crypto';
import type { Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { BACKPORT, type PayloadContent } from './backport.ts';
import type { SubscriptionEvent } from './subscription.store.ts';

export type NotificationType =
  | 'handshake'
  | 'heartbeat'
  | 'event-notification'
  | 'query-status'
  | 'query-event';

/** One version of a resource that goes along; `json` null: its address only. */
export interface Carried {
  readonly type: string;
  readonly id: string;
  readonly json: string | null;
}

/** An event with what its subscriber may see of it. */
export interface NotifiedEvent {
  readonly event: SubscriptionEvent;
  /** Null: nothing of it may be seen (any more). */
  readonly focus: Carried | null;
  readonly context: readonly Carried[];
}

export interface Notification {
  readonly type: NotificationType;
  readonly subscriptionId: string;
  /** Canonical URL of the topic; null: a plain R4 Subscription. */
  readonly topic: string | null;
  readonly status: string;
  readonly content: PayloadContent;
  /** Number of the last event given to the Subscription. */
  readonly events: number;
  readonly error?: string;
  readonly notified: readonly NotifiedEvent[];
}

/** Who writes it: base URL without a trailing slash, clock and ids handed in. */
export interface Writer {
  readonly base: string;
  readonly now: () => Date;
  readonly uuid: () => string;
}

export const writerFor = (base: string): Writer => ({ base, now: () => new Date(), uuid: randomUUID });

/**
 * The notification as JSON text: a Bundle of type `history` (profile backport-subscription-notification-r4) whose first entry is the status
 * as Parameters (backport-subscription-status-r4). Resources go in as they are stored: no text is parsed, no decimal changes.
 */
export function writeNotification(notification: Notification, writer: Writer): string {
  const { base } = writer;
  const { subscriptionId, content } = notification;
  const status = statusParameters(notification, writer);
  const entries = [
    json({
      fullUrl: `urn:uuid:${status.id}`,
      resource: status,
      request: { method: 'GET', url: `${base}/Subscription/${subscriptionId}/$status` },
      response: { status: '200' },
    }),
  ];
  if (content !== 'empty') {
    const seen = new Set<string>();
    for (const { event, focus, context } of notification.notified) {
      if (!focus) continue;
      for (const [at, carried] of [focus, ...context].entries()) {
        const key = `${carried.type}/${carried.id}${at === 0 ? `#${event.number}` : ''}`;
        if (seen.has(key)) continue;
        seen.add(key);
        entries.push(entry(carried, at === 0 ? event.interaction : 'update', content, base));
      }
    }
  }
  const head = json({
    resourceType: 'Bundle',
    id: writer.uuid(),
    meta: { profile: [BACKPORT.notificationProfile] },
    type: 'history',
    timestamp: writer.now().toISOString(),
  });
  return `${head.slice(0, -1)},"entry":[${entries.join(',')}]}`;
}

const json = (value: object): string => JSON.stringify(value);

/** `bdl-3`, `bdl-4`: each entry of a history has request and response. */
function entry(
  { type, id, json: text }: Carried,
  interaction: SubscriptionEvent['interaction'],
  content: PayloadContent,
  base: string,
): string {
  const [method, url, status] = {
    create: ['POST', type, '201'] as const,
    update: ['PUT', `${type}/${id}`, '200'] as const,
    delete: ['DELETE', `${type}/${id}`, '204'] as const,
  }[interaction];
  const around = json({ fullUrl: `${base}/${type}/${id}`, request: { method, url }, response: { status } });
  if (content !== 'full-resource' || text === null || interaction === 'delete') return around;
  return `${around.slice(0, -1)},"resource":${text}}`;
}

/** The status of a Subscription as R4 has it: Parameters by the profile backport-subscription-status-r4. */
export function statusParameters(notification: Notification, { base, uuid }: Writer): Parameters {
  const { content, topic } = notification;
  const parameter: ParametersParameter[] = [
    {
      name: 'subscription',
      valueReference: { reference: `${base}/Subscription/${notification.subscriptionId}` },
    },
    // `empty` says nothing of what it is about.
    ...(topic && content !== 'empty' ? [{ name: 'topic', valueCanonical: topic }] : []),
    { name: 'status', valueCode: notification.status },
    { name: 'type', valueCode: notification.type },
    { name: 'events-since-subscription-start', valueString: String(notification.events) },
    ...notification.notified.map((one) => eventParameter(one, content, base)),
    ...(notification.error ? [{ name: 'error', valueCodeableConcept: { text: notification.error } }] : []),
  ];
  return { resourceType: 'Parameters', id: uuid(), meta: { profile: [BACKPORT.statusProfile] }, parameter };
}

function eventParameter(
  { event, focus, context }: NotifiedEvent,
  content: PayloadContent,
  base: string,
): ParametersParameter {
  const about = content !== 'empty' && focus !== null;
  const reference = ({ type, id }: Carried) => ({ reference: `${base}/${type}/${id}` });
  return {
    name: 'notification-event',
    part: [
      { name: 'event-number', valueString: String(event.number) },
      { name: 'timestamp', valueInstant: event.at.toISOString() },
      ...(about && focus ? [{ name: 'focus', valueReference: reference(focus) }] : []),
      ...(about
        ? context.map((one) => ({ name: 'additional-context', valueReference: reference(one) }))
        : []),
    ],
  };
}
