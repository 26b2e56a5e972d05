import type { Subscription } from '@medplum/fhirtypes';
import type { Settings } from '../config/settings.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { gatherEvents } from './gather-events.ts';
import { sendToHost } from './outbound/send-to-host.ts';
import { SIGNATURE_HEADER, secretFor, signBody } from './outbound/sign-body.ts';
import type { ReadDelivery } from './read-subscription.ts';
import { accessOfSubscriber } from './subscriber-access.ts';
import type { DeliveryState, SubscriptionEvent } from './subscription.store.ts';
import {
  type NotificationType,
  type NotifiedEvent,
  writeNotification,
  writerFor,
} from './write-notification.ts';

export type HookSettings = Pick<
  Settings,
  'baseUrl' | 'SUBSCRIPTION_HOSTS' | 'SUBSCRIPTION_NETWORKS' | 'SUBSCRIPTION_SECRETS'
>;

/** What is sent: the kind of message, and its events. */
export interface Message {
  readonly type: Extract<NotificationType, 'handshake' | 'heartbeat' | 'event-notification'>;
  readonly events: readonly SubscriptionEvent[];
}

/** Sends one message to the endpoint of a rest-hook and gives back once the listener has taken it. */
export class NotifyHost {
  constructor(
    private readonly store: ResourceStore,
    private readonly settings: HookSettings,
    private readonly clock: Clock,
  ) {}

  /** @throws Failure `subscription.not-delivered` when it was not taken: nobody there, not in time, not 2xx */
  async send(
    stored: Subscription,
    read: ReadDelivery,
    state: DeliveryState,
    message: Message,
  ): Promise<void> {
    const { channel, topic } = read;
    if (channel.target.kind !== 'rest-hook') return;
    const content = topic ? channel.content : channel.payload ? 'full-resource' : 'empty';
    const access = accessOfSubscriber(state);
    const notified = await gatherEvents(this.store, message.events, topic, content, access);
    const calls: Call[] = topic
      ? [
          {
            method: 'POST',
            url: channel.target.endpoint,
            body: this.bundle(stored, read, state, message, notified),
          },
        ]
      : plainCalls(channel.target.endpoint, channel.payload, notified);
    const entry = {
      kind: 'hook',
      interaction: message.type,
      action: 'R',
      entity: `Subscription/${read.id}`,
      detail: channel.target.endpoint.host,
      texts: notified.flatMap(textsOf),
    } as const;
    try {
      for (const { method, url, body } of calls) await this.call(read, method, url, body);
    } catch (error) {
      await this.store.record({ ...entry, outcome: 8 });
      throw error;
    }
    // When it cannot be recorded the delivery counts as failed: it is made again, and recorded then.
    await this.store.record({ ...entry, outcome: 0 });
  }

  private bundle(
    stored: Subscription,
    { id, topic, channel }: ReadDelivery,
    state: DeliveryState,
    { type }: Message,
    notified: readonly NotifiedEvent[],
  ): string {
    const events = notified.at(-1)?.event.number ?? state.events;
    return writeNotification(
      {
        type,
        subscriptionId: id,
        topic: topic?.url ?? null,
        status: type === 'handshake' ? 'requested' : stored.status,
        content: channel.content,
        events,
        notified,
      },
      writerFor(`${this.settings.baseUrl}/fhir`),
    );
  }

  private async call(
    { channel }: ReadDelivery,
    method: 'POST' | 'PUT',
    url: URL,
    body: string,
  ): Promise<void> {
    const headers: (readonly [string, string])[] = [...channel.headers];
    if (body !== '') headers.push(['Content-Type', channel.payload ?? 'application/fhir+json']);
    const secret = secretFor(url, this.settings.SUBSCRIPTION_SECRETS);
    if (secret) headers.push([SIGNATURE_HEADER, signBody(body, secret, this.clock.now())]);
    const status = await sendToHost(
      { method, url, headers, body, timeoutMs: channel.timeoutMs },
      { networks: this.settings.SUBSCRIPTION_NETWORKS },
    );
    if (status < 200 || status > 299)
      throw new Failure('subscription.not-delivered', `The listener answered ${status}.`);
  }
}

/**
 * R4 subscription.html, "rest-hook": without a payload an empty POST to the endpoint; with one, the version that matched, as an update: `PUT
 * <endpoint>/<type>/<id>`. No precondition goes along: what the listener has is its own business. A version that may not be
 * seen any more is left out.
 */
function plainCalls(endpoint: URL, payload: string | null, notified: readonly NotifiedEvent[]): Call[] {
  return notified.flatMap(({ focus }): Call[] => {
    if (!payload) return [{ method: 'POST', url: endpoint, body: '' }];
    if (focus?.json == null) return [];
    const url = new URL(endpoint);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${focus.type}/${focus.id}`;
    return [{ method: 'PUT', url, body: focus.json }];
  });
}

/** What went out, or what its ids stand for. */
export const textsOf = ({ focus, context }: NotifiedEvent): string[] =>
  [focus, ...context].flatMap((carried) => carried?.json ?? []);

interface Call {
  readonly method: 'POST' | 'PUT';
  readonly url: URL;
  readonly body: string;
}
