import type { Subscription } from '@medplum/fhirtypes';
import { type CodeSets, type Criteria, compileCriteria, type Entries } from '../fhir/match-criteria.ts';
import { Failure } from '../kernel/errors.ts';
import { BACKPORT, besides } from './backport.ts';
import type { ResourceTrigger, SubscriptionTopic, TopicInteraction } from './topics/subscription-topic.ts';

/** What a Subscription waits for, on one type. */
export interface Watch {
  readonly type: string;
  readonly interactions: ReadonlySet<TopicInteraction>;
  /** What every new version that fires meets: found by its entries, before anything else is looked at. */
  readonly always: Criteria;
  /** All that `asks` may give. */
  readonly asked: readonly Criteria[];
  /** What this new version must meet; null: it does not fire. `previous` gives the entries of the version before, null for a create. */
  asks(previous: () => Entries | null): Criteria | null;
  /** Does the deletion of a resource with these entries fire? */
  firesOnDelete(previous: Entries): boolean;
}

/** R4 subscription.html: criteria are a search on one type; creates and updates fire, deletions do not. */
export function plainWatch(subscription: Subscription, base: string, sets: CodeSets): Watch {
  const match = /^([A-Z][A-Za-z]{1,63})(?:\?(.*))?$/s.exec(subscription.criteria);
  if (!match?.[1])
    throw invalid(
      'Subscription.criteria must read like "ImagingStudy?status=available": one resource type and search parameters; or be the URL of a topic.',
    );
  const criteria = compiled(match[1], match[2] ?? '', { base, sets, at: 'Subscription.criteria' });
  return {
    type: match[1],
    interactions: new Set(['create', 'update']),
    always: criteria,
    asked: [criteria],
    asks: () => criteria,
    firesOnDelete: () => false,
  };
}

/**
 * The watches of a topic-based Subscription: one per resourceTrigger of its topic, narrowed by its filters (`backport-filter-criteria`:
 * `Type?parameter=value`; all must be met).
 */
export function topicWatches(
  subscription: Subscription,
  topic: SubscriptionTopic,
  base: string,
  sets: CodeSets,
): Watch[] {
  const filters = besides(subscription).criteria.map((extension) => {
    if (extension.url !== BACKPORT.filterCriteria || !extension.valueString)
      throw invalid(
        'Subscription.criteria may have the extension backport-filter-criteria with a valueString only.',
      );
    return readFilter(extension.valueString, topic);
  });
  return topic.resourceTrigger.map((trigger) => {
    const those = filters.filter(({ type }) => type === null || type === trigger.resource);
    const filter = those.map(({ query }) => query).join('&');
    return triggerWatch(trigger, filter, { base, sets, at: 'Subscription.criteria' });
  });
}

/** Throws when a Subscription to the topic could not be followed: its criteria are no searches, or need rows that are not kept. */
export function checkTopic(topic: SubscriptionTopic, base: string, sets: CodeSets): void {
  const from = { base, sets, at: 'Basic.extension' };
  for (const trigger of topic.resourceTrigger) triggerWatch(trigger, '', from);
  for (const { resource, filterParameter } of topic.canFilterBy) {
    const types = resource ? [resource] : topic.resourceTrigger.map((trigger) => trigger.resource);
    for (const type of types) compiled(type, `${filterParameter}:missing=true`, from, [filterParameter]);
  }
}

/** With what criteria are read, and the element that they stand in. */
interface From {
  readonly base: string;
  readonly sets: CodeSets;
  readonly at: string;
}

function triggerWatch(trigger: ResourceTrigger, filter: string, from: From): Watch {
  const { resource: type, queryCriteria = {}, supportedInteraction } = trigger;
  const interactions = new Set(
    supportedInteraction.length > 0 ? supportedInteraction : (['create', 'update', 'delete'] as const),
  );
  const { previous: before, current, resultForCreate, resultForDelete, requireBoth } = queryCriteria;
  const previous = before === undefined ? null : compiled(type, before, from);
  const filterOnly = compiled(type, filter, from);
  const both = compiled(type, [current ?? '', filter].filter(Boolean).join('&'), from);
  // The version before has left its entries only (they are worked out from its text).
  const beforeOnly = interactions.has('delete') ? [previous, filterOnly] : [previous];
  if (beforeOnly.some((criteria) => criteria && !criteria.decidable))
    throw unsupported(
      'Criteria and filters on the version before a change or deletion go by tokens, references and URIs only.',
      from.at,
    );
  const either = previous !== null && current !== undefined && requireBoth !== true;
  return {
    type,
    interactions,
    always: either ? filterOnly : both,
    asked: [filterOnly, both],
    asks: (entries) => {
      if (previous === null) return both;
      const before = entries();
      const passed = before === null ? resultForCreate !== 'test-fails' : previous.decide(before) === true;
      if (either) return passed ? filterOnly : both;
      return passed ? both : null;
    },
    firesOnDelete: (entries) => {
      const tests = [
        ...(previous ? [previous.decide(entries) === true] : []),
        ...(current === undefined ? [] : [resultForDelete === 'test-passes']),
      ];
      const passed = either ? tests.some(Boolean) : tests.every(Boolean);
      return passed && filterOnly.decide(entries) === true;
    },
  };
}

/** Every parameter of a filter must be one that the topic lists in `canFilterBy`. */
function readFilter(text: string, topic: SubscriptionTopic): { type: string | null; query: string } {
  const match = /^(?:([A-Z][A-Za-z]{1,63})\?)?([^?].*)$/s.exec(text);
  if (!match?.[2]) throw invalid('A filter must read like "Encounter?patient=Patient/1".');
  const type = match[1] ?? null;
  if (type !== null && !topic.resourceTrigger.some((trigger) => trigger.resource === type))
    throw invalid('A filter names a resource type that the topic does not have.');
  for (const [name] of new URLSearchParams(match[2])) {
    const [code, modifier] = name.split(':');
    const allowed = topic.canFilterBy.some(
      (one) =>
        one.filterParameter === code &&
        (one.resource === null || type === null || one.resource === type) &&
        (modifier === undefined || one.modifier.includes(modifier)),
    );
    if (!allowed)
      throw invalid(
        `The topic can be filtered by: ${topic.canFilterBy.map((one) => one.filterParameter).join(', ') || 'nothing'}.`,
      );
  }
  return { type, query: match[2] };
}

function compiled(type: string, query: string, { base, sets, at }: From, only?: readonly string[]): Criteria {
  try {
    return compileCriteria(type, query, base, sets);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // A parameter without `:missing` is one all the same.
    if (only && error.code === 'fhir.unsupported') return compileCriteria(type, '', base);
    throw new Failure(error.code, error.message, { cause: error, issues: [{ at, text: error.message }] });
  }
}

const invalid = (message: string) =>
  new Failure('fhir.invalid', message, { issues: [{ at: 'Subscription.criteria', text: message }] });
const unsupported = (message: string, at: string) =>
  new Failure('fhir.unsupported', message, { issues: [{ at, text: message }] });
