import type { AccessContext } from '../fhir/access-context.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { SqlParameters } from '../fhir/sql-parameters.ts';
import { Failure } from '../kernel/errors.ts';
import type { PayloadContent } from './backport.ts';
import type { SubscriptionEvent } from './subscription.store.ts';
import type { SubscriptionTopic } from './topics/subscription-topic.ts';
import type { Carried, NotifiedEvent } from './write-notification.ts';

/** Resources that may go along with one event. */
export const CONTEXT_RESOURCES_MAX = 200;

/**
 * Reads what the events are about, as far as their subscriber may see it now: the version that fired, and what the topic's `notificationShape`
 * sends along (as it stands now).
 */
export async function gatherEvents(
  store: ResourceStore,
  events: readonly SubscriptionEvent[],
  topic: SubscriptionTopic | null,
  content: PayloadContent,
  access: AccessContext,
): Promise<NotifiedEvent[]> {
  const gathered: NotifiedEvent[] = [];
  for (const event of events) {
    const focus = content === 'empty' ? null : await focusOf(store, event, access);
    const context =
      focus && topic && event.interaction !== 'delete' ? await contextOf(store, event, topic, access) : [];
    gathered.push({ event, focus, context });
  }
  return gathered;
}

/** The events whose resource this access shows. A deletion is shown to who sees all of the type: of what is gone nobody can tell any more whose it was. */
export async function eventsSeen(
  store: ResourceStore,
  events: readonly SubscriptionEvent[],
  access: AccessContext,
): Promise<SubscriptionEvent[]> {
  const seen: SubscriptionEvent[] = [];
  for (const event of events) {
    const isSeen =
      event.interaction === 'delete'
        ? access.allows(event.type, 'read') &&
          access.condition(event.type, 'read', 'r', new SqlParameters()) === null
        : (await focusOf(store, event, access)) !== null;
    if (isSeen) seen.push(event);
  }
  return seen;
}

async function focusOf(
  store: ResourceStore,
  { type, id, version, interaction }: SubscriptionEvent,
  access: AccessContext,
): Promise<Carried | null> {
  if (!access.allows(type, 'read')) return null;
  if (interaction === 'delete') return { type, id, json: null };
  const stored = await store.readVersion(type, id, version, undefined, access);
  return stored && !stored.deleted ? { type, id, json: stored.json } : null;
}

async function contextOf(
  store: ResourceStore,
  { type, id }: SubscriptionEvent,
  topic: SubscriptionTopic,
  access: AccessContext,
): Promise<Carried[]> {
  const shape = topic.notificationShape.find(({ resource }) => resource === type);
  if (!shape || shape.include.length + shape.revInclude.length === 0) return [];
  const query = new URLSearchParams({ _id: id });
  for (const include of shape.include) query.append('_include', include);
  for (const include of shape.revInclude) query.append('_revinclude', include);
  try {
    const { included } = await store.search(type, query, undefined, access);
    return included
      .slice(0, CONTEXT_RESOURCES_MAX)
      .map((one) => ({ type: one.type, id: one.id, json: one.json }));
  } catch (error) {
    // A subscriber who may not search is told of the focus all the same.
    if (error instanceof Failure && error.code === 'auth.scope') return [];
    throw error;
  }
}
