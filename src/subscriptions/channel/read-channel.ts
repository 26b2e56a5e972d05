import type { Extension, Subscription } from '@medplum/fhirtypes';
import { isListedHost } from '../../kernel/check-address.ts';
import { Failure } from '../../kernel/errors.ts';
import { BACKPORT, besides, isTopicBased, type PayloadContent } from '../backport.ts';

export type SubscriptionTarget =
  /** Our own operation: a job in this process or another worker, never an HTTP call. */
  | { readonly kind: 'analyze'; readonly model: string }
  | { readonly kind: 'rest-hook'; readonly endpoint: URL }
  | { readonly kind: 'websocket' };

/** How a Subscription wants to be told. */
export interface Channel {
  readonly target: SubscriptionTarget;
  /** MIME type of what is sent; null: nothing but the call itself (R4 only). */
  readonly payload: string | null;
  /** Topic-based only. */
  readonly content: PayloadContent;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly heartbeatMs: number | null;
  readonly timeoutMs: number;
  /** Events in one notification. */
  readonly maxCount: number;
  readonly end: Date | null;
}

/** A listener that has not answered by then is asked again later. */
export const HOOK_TIMEOUT_MS = 10_000;
/** Often enough for every use that was met; more often would only make load. */
export const HEARTBEAT_MS_MIN = 1_000;
export const HEARTBEAT_MS_MAX = 86_400_000;
/** A notification stays small enough to be built in memory: 100 reports of 50 kB are 5 MB. */
export const EVENTS_PER_NOTIFICATION_MAX = 100;
export const HEADERS_MAX = 20;
export const HEADER_CHARACTERS_MAX = 4_000;

/**
 * Reads `Subscription.channel` with the extensions of the backport IG.
 *
 * @throws Failure `fhir.invalid` or `fhir.unsupported` that says what is offered
 */
export function readChannel(
  subscription: Subscription,
  type: string | null,
  baseUrl: string,
  hosts: readonly string[],
): Channel {
  const { channel } = subscription;
  checkForeignExtensions(subscription);
  if (channel.type !== 'rest-hook' && channel.type !== 'websocket')
    throw unsupported('Only channels of type rest-hook and websocket are offered.', 'channel.type');
  if (besides(subscription).channelType.some(({ url }) => url === BACKPORT.channelType))
    throw unsupported(
      'Channel types of the extension backport-channel-type are not offered.',
      'channel.type',
    );
  const target =
    channel.type === 'websocket'
      ? { kind: 'websocket' as const }
      : targetOf(channel.endpoint ?? '', type, baseUrl, hosts);
  const extensions = channel.extension ?? [];
  const heartbeat = numberOf(
    extensions,
    BACKPORT.heartbeatPeriod,
    HEARTBEAT_MS_MIN / 1_000,
    HEARTBEAT_MS_MAX / 1_000,
  );
  const timeout = numberOf(extensions, BACKPORT.timeout, 1, HOOK_TIMEOUT_MS / 1_000, true);
  return {
    target,
    payload: payloadOf(subscription),
    content: contentOf(subscription),
    headers: headersOf(channel.header ?? []),
    heartbeatMs: heartbeat && heartbeat * 1_000,
    timeoutMs: (timeout ?? HOOK_TIMEOUT_MS / 1_000) * 1_000,
    maxCount: numberOf(extensions, BACKPORT.maxCount, 1, EVENTS_PER_NOTIFICATION_MAX, true) ?? 1,
    end: subscription.end ? new Date(subscription.end) : null,
  };
}

/** An extension of R5 that is not followed would change what its author expects to be told. */
function checkForeignExtensions(subscription: Subscription): void {
  const all = [
    ...(subscription.extension ?? []),
    ...(subscription.channel.extension ?? []),
    ...besides(subscription).criteria,
  ];
  if (
    all.some(({ url }) =>
      /^http:\/\/hl7\.org\/fhir\/[4-9]\.\d\/StructureDefinition\/extension-Subscription\./.test(url),
    )
  )
    throw unsupported(
      'Cross-version extensions of Subscription are not offered; use those of the Subscriptions R5 Backport IG.',
      'extension',
    );
}

function payloadOf(subscription: Subscription): string | null {
  const { payload } = subscription.channel;
  if (payload === undefined) return isTopicBased(subscription) ? 'application/fhir+json' : null;
  if (!/^application\/(fhir\+)?json *(;[\x20-\x7e]{0,80})?$/.test(payload))
    throw unsupported('The payload must be application/fhir+json.', 'channel.payload');
  return payload;
}

/** Without a word of the author the content that shows least and still says what happened. */
function contentOf(subscription: Subscription): PayloadContent {
  const found = besides(subscription).payload.find(({ url }) => url === BACKPORT.payloadContent);
  if (!found) return 'id-only';
  const code = found.valueCode;
  if (code === 'empty' || code === 'id-only' || code === 'full-resource') return code;
  throw unsupported(
    'The payload content must be empty, id-only or full-resource.',
    'channel.payload.extension',
  );
}

/** A number from an extension; null when it is not there. `clip`: one above the highest counts as the highest. */
function numberOf(
  extensions: readonly Extension[],
  url: string,
  min: number,
  max: number,
  clip = false,
): number | null {
  const found = extensions.find((extension) => extension.url === url);
  if (!found) return null;
  const value = found.valueUnsignedInt ?? found.valuePositiveInt ?? found.valueInteger;
  if (value === undefined || value < min || (!clip && value > max))
    throw invalid(
      `The extension ${url.split('/').at(-1)} must be a whole number from ${min} to ${max}.`,
      'channel.extension',
    );
  return Math.min(value, max);
}

/** RFC 9110 5.6.2; what else a line may hold would fail at each delivery, or bring in a second header. */
const HEADER_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\x20-\x7e\t]*$/;

/** These are the connection's own business, or ours. */
const FORBIDDEN_HEADERS =
  /^(host|content-length|content-type|transfer-encoding|connection|upgrade|te|trailer|expect|keep-alive|proxy-.*|cookie|prelim-signature)$/i;

function headersOf(lines: readonly string[]): (readonly [string, string])[] {
  if (lines.some((line) => !HEADER_LINE.test(line)))
    throw invalid(
      'Each Subscription.channel.header must read like "Name: value", in ASCII.',
      'channel.header',
    );
  if (lines.length > HEADERS_MAX || lines.join('').length > HEADER_CHARACTERS_MAX)
    throw invalid(
      `A Subscription may have ${HEADERS_MAX} headers of ${HEADER_CHARACTERS_MAX} characters together.`,
      'channel.header',
    );
  return lines
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    })
    .filter(([name]) => !FORBIDDEN_HEADERS.test(name));
}

function targetOf(
  endpoint: string,
  type: string | null,
  baseUrl: string,
  hosts: readonly string[],
): SubscriptionTarget {
  if (endpoint === '')
    throw invalid(
      'A Subscription of type rest-hook needs channel.endpoint, the URL to call.',
      'channel.endpoint',
    );
  const url = URL.canParse(endpoint, `${baseUrl}/fhir/`) ? new URL(endpoint, `${baseUrl}/fhir/`) : null;
  if (url?.href.startsWith(`${baseUrl}/fhir/`)) return ownTarget(url, type, baseUrl);
  if (url === null || !isListedHost(url, hosts))
    throw invalid(
      'The endpoint must be an http(s) address on a host that the setting SUBSCRIPTION_HOSTS names.',
      'channel.endpoint',
    );
  return { kind: 'rest-hook', endpoint: url };
}

/** A call of ourselves: only the operation that starts a model on the study that matched. */
function ownTarget(url: URL, type: string | null, baseUrl: string): SubscriptionTarget {
  const model = url.searchParams.get('model');
  if (
    type !== 'ImagingStudy' ||
    url.pathname !== new URL(`${baseUrl}/fhir/ImagingStudy/$analyze`).pathname ||
    !model
  )
    throw invalid(
      'On this server itself only ImagingStudy/$analyze?model=<id> can be an endpoint, for criteria on ImagingStudy.',
      'channel.endpoint',
    );
  return { kind: 'analyze', model };
}

const invalid = (message: string, at: string) =>
  new Failure('fhir.invalid', message, { issues: [{ at: `Subscription.${at}`, text: message }] });
const unsupported = (message: string, at: string) =>
  new Failure('fhir.unsupported', message, { issues: [{ at: `Subscription.${at}`, text: message }] });
