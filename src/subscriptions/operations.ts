import { createHash, randomBytes } from 'node:crypto';
import type { Bundle, BundleEntry, Parameters, Subscription } from '@medplum/fhirtypes';
import { type AccessContext, demandAccess } from '../fhir/access-context.ts';
import { badParameter } from '../fhir/at-parameter.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../fhir/operation-registry.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import type { StoredResource } from '../fhir/stored-resource.ts';
import { Failure } from '../kernel/errors.ts';
import { BACKPORT, isTopicBased, type PayloadContent } from './backport.ts';
import { gatherEvents } from './gather-events.ts';
import type { SubscriptionStore } from './subscription.store.ts';
import { statusParameters, writeNotification, writerFor } from './write-notification.ts';

/** One binding token is shown once or a few times, right after it was asked for. */
export const BINDING_TOKEN_LIFETIME_MS = 30 * 60_000;
/** Subscriptions that one call of `$status` or one token may be about. */
export const SUBSCRIPTIONS_PER_CALL_MAX = 200;
/** Events of one answer of `$events`; ask again from the last number for more. */
export const EVENTS_PER_ANSWER_MAX = 200;

interface Served {
  readonly resources: ResourceStore;
  readonly store: SubscriptionStore;
  /** `wss://…/fhir/ws` */
  readonly socketUrl: string;
}

/** `$status`, `$events` and `$get-ws-binding-token` of the Subscriptions R5 Backport IG, on one Subscription and (but `$events`) on the type. */
export function subscriptionOperations(served: Served): Operation[] {
  const on = (level: Operation['level'], name: string, get: boolean, run: Operation['run']): Operation => ({
    name,
    level,
    type: 'Subscription',
    parameters: PARAMETERS[name] ?? [],
    get,
    definition: DEFINITIONS[name] ?? '',
    run,
  });
  return [
    on('instance', '$status', true, (request) => statusOf(served, request)),
    on('type', '$status', true, (request) => statusOf(served, request)),
    on('instance', '$events', true, (request) => eventsOf(served, request)),
    on('instance', '$get-ws-binding-token', true, (request) => bindingToken(served, request)),
    on('type', '$get-ws-binding-token', true, (request) => bindingToken(served, request)),
  ];
}

const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  $status: ['ids', 'id', 'status'],
  $events: ['eventsSinceNumber', 'eventsUntilNumber', 'content'],
  '$get-ws-binding-token': ['ids', 'id'],
};

const DEFINITIONS: Readonly<Record<string, string>> = {
  $status: BACKPORT.statusOperation,
  $events: BACKPORT.eventsOperation,
  '$get-ws-binding-token': BACKPORT.tokenOperation,
};

/** A `searchset` with the status of each (OperationDefinition backport-subscription-status). Those the caller may not see are not in it. */
async function statusOf(served: Served, request: OperationRequest): Promise<OperationAnswer> {
  const { resources } = served;
  const found = await asked(served, request);
  // On one Subscription it is ignored, as the definition says: a client that asks how it stands is told.
  const statuses = request.id ? [] : valuesOf(request, 'status').flatMap((value) => value.split(','));
  const entry: BundleEntry[] = [];
  for (const stored of found) {
    const subscription = stored.parse<Subscription>();
    if (statuses.length > 0 && !statuses.includes(String(subscription.status))) continue;
    const resource = await statusResource(served, subscription);
    entry.push({ fullUrl: `urn:uuid:${resource.id}`, resource, search: { mode: 'match' } });
  }
  const self = `${resources.base}/Subscription${request.id ? `/${request.id}` : ''}/$status`;
  const bundle: Bundle = {
    resourceType: 'Bundle',
    type: 'searchset',
    total: entry.length,
    link: [{ relation: 'self', url: self }],
    ...(entry.length > 0 ? { entry } : {}),
  };
  return { status: 200, resource: bundle };
}

async function statusResource({ resources, store }: Served, subscription: Subscription): Promise<Parameters> {
  const id = String(subscription.id);
  const { events } = await store.state(id);
  const topic = topicOf(subscription);
  return statusParameters(
    {
      type: 'query-status',
      subscriptionId: id,
      topic,
      status: String(subscription.status),
      content: 'id-only',
      events,
      notified: [],
      ...(subscription.error ? { error: subscription.error } : {}),
    },
    writerFor(resources.base),
  );
}

const topicOf = (subscription: Subscription): string | null =>
  isTopicBased(subscription) ? (subscription.criteria.split('|')[0] ?? null) : null;

/** A `history` Bundle of type `query-event` with events of the past, for whoever missed some (OperationDefinition backport-subscription-events). */
async function eventsOf(served: Served, request: OperationRequest): Promise<OperationAnswer> {
  const { resources, store } = served;
  const [kept] = await asked(served, request);
  if (!kept) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  const subscription = kept.parse<Subscription>();
  const since = numberOf(request, 'eventsSinceNumber') ?? 1;
  const until = numberOf(request, 'eventsUntilNumber');
  const content = contentOf(request);
  const state = await store.state(kept.id);
  const events = await store.events(kept.id, since - 1, EVENTS_PER_ANSWER_MAX, until ?? undefined);
  // Here the caller reads, with the rights of the caller.
  const notified = await gatherEvents(resources, events, null, content, request.access);
  const text = writeNotification(
    {
      type: 'query-event',
      subscriptionId: kept.id,
      topic: topicOf(subscription),
      status: String(subscription.status),
      content,
      events: state.events,
      notified,
    },
    writerFor(resources.base),
  );
  return { status: 200, resource: null, json: text };
}

function contentOf(request: OperationRequest): PayloadContent {
  const [content = 'id-only'] = valuesOf(request, 'content');
  if (content === 'empty' || content === 'id-only' || content === 'full-resource') return content;
  throw badParameter('content', 'content must be empty, id-only or full-resource.');
}

function numberOf(request: OperationRequest, name: string): number | null {
  const [text] = valuesOf(request, name);
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text)) throw badParameter(name, `${name} must be a whole number.`);
  return Number(text);
}

/**
 * A token to show at the WebSocket (OperationDefinition backport-subscription-get-ws-binding-token). Only its hash is kept. Whoever asks must be
 * able to read the Subscriptions, and is told at the socket of what they may see themselves; the token is good for nothing else.
 */
async function bindingToken(served: Served, request: OperationRequest): Promise<OperationAnswer> {
  const found = await asked(served, request);
  const ids = found
    .filter((stored) => stored.parse<Subscription>().channel.type === 'websocket')
    .map(({ id }) => id);
  if (ids.length === 0)
    throw badParameter(
      'ids',
      'Name Subscriptions with a channel of type websocket: by URL or with the parameter ids.',
    );
  const token = randomBytes(32).toString('base64url');
  const expiresAt = new Date(Date.now() + BINDING_TOKEN_LIFETIME_MS);
  const reader = request.access.grant ?? { scopes: [] };
  await served.store.bind(sha256(token), ids, expiresAt, reader);
  const parameters: Parameters = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'token', valueString: token },
      { name: 'expiration', valueDateTime: expiresAt.toISOString() },
      ...ids.map((id) => ({ name: 'subscription', valueString: `Subscription/${id}` })),
      { name: 'websocket-url', valueUrl: served.socketUrl },
    ],
  };
  return { status: 200, resource: parameters, headers: { 'cache-control': 'no-store' } };
}

export const sha256 = (token: string): Buffer => createHash('sha256').update(token).digest();

/** The Subscriptions a call is about, as far as its caller may read them: by URL, by `ids`, or all. */
async function asked({ resources }: Served, request: OperationRequest): Promise<StoredResource[]> {
  const { access } = request;
  demandAccess(access, 'Subscription', 'read');
  const ids = request.id ? [request.id] : idsOf(request);
  if (ids.length > SUBSCRIPTIONS_PER_CALL_MAX)
    throw badParameter('ids', `Ask for ${SUBSCRIPTIONS_PER_CALL_MAX} Subscriptions at once at most.`);
  const refs = ids.map((id) => ({ type: 'Subscription', id }));
  const found =
    ids.length > 0 ? await resources.readMany(refs, undefined, access) : await everyOne(resources, access);
  if (request.id && found.length === 0)
    throw new Failure('fhir.not-found', 'There is no resource with this id.');
  return found;
}

async function everyOne(resources: ResourceStore, access: AccessContext): Promise<StoredResource[]> {
  const { matches } = await resources.search(
    'Subscription',
    `_count=${SUBSCRIPTIONS_PER_CALL_MAX}`,
    undefined,
    access,
  );
  return [...matches];
}

const idsOf = (request: OperationRequest): string[] =>
  [...valuesOf(request, 'ids'), ...valuesOf(request, 'id')]
    .flatMap((value) => value.split(','))
    .map((value) => value.replace(/^.*Subscription\//, ''))
    .filter((id) => /^[A-Za-z0-9\-.]{1,64}$/.test(id));

/** A parameter from the URL or from the body's Parameters. */
function valuesOf({ query, body }: OperationRequest, name: string): string[] {
  const sent = body?.resourceType === 'Parameters' ? (body.parameter ?? []) : [];
  const inBody = sent
    .filter((parameter) => parameter.name === name)
    .flatMap((one) => one.valueString ?? one.valueId ?? one.valueCode ?? one.valueInteger ?? [])
    .map(String);
  return [...query.getAll(name), ...inBody];
}
