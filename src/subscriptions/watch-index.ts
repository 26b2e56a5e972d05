import type { Entries, Need } from '../fhir/match-criteria.ts';
import { indexSpans, type Span, type SpanIndex } from '../fhir/span-index.ts';
import type { ReadSubscription } from './read-subscription.ts';
import type { Watch } from './watch.ts';

/** A watch and whose it is. */
export interface Candidate {
  readonly subscription: ReadSubscription;
  readonly watch: Watch;
}

/** Finds the few watches that a change might concern among many. */
export interface WatchIndex {
  /** Is there any watch of the type? If not, a write of it costs this one look in a map. */
  has(type: string): boolean;
  /** Those that may match a new version with these entries; none that could is missing. */
  among(type: string, entries: Entries): readonly Candidate[];
  /** Those that want to hear of deletions. */
  onDelete(type: string): readonly Candidate[];
}

interface OfType {
  /** By one entry that each match has. */
  readonly byEntry: Map<string, Candidate[]>;
  /** By key, those where each match has a row that touches a span: `value-quantity=gt5`, `name=ann`. */
  readonly bySpan: Map<string, SpanIndex<Candidate>>;
  /** Those that nothing in memory tells apart. */
  readonly rest: Candidate[];
  readonly onDelete: Candidate[];
}

/**
 * Each watch is filed under what one of its criteria needs: of several the one that fewest others share (`code=c7`, not `status=final`), so that
 * a common entry does not bring up everybody.
 */
export function indexWatches(subscriptions: readonly ReadSubscription[]): WatchIndex {
  const all = subscriptions.flatMap((subscription) =>
    subscription.watches.map((watch): Candidate => ({ subscription, watch })),
  );
  const shared = sharedBy(all);
  const types = new Map<string, Candidate[]>();
  for (const candidate of all) add(types, candidate.watch.type, candidate);
  const indexed = new Map([...types].map(([type, those]) => [type, indexType(those, shared)]));
  return {
    has: (type) => indexed.has(type),
    among: (type, entries) => among(indexed.get(type), entries),
    onDelete: (type) => indexed.get(type)?.onDelete ?? [],
  };
}

/** How many criteria want an entry, or a row of a key. */
function sharedBy(all: readonly Candidate[]): ReadonlyMap<string, number> {
  const shared = new Map<string, number>();
  const count = (key: string) => shared.set(key, (shared.get(key) ?? 0) + 1);
  for (const { watch } of all) {
    for (const { entries, spans } of watch.always.needs) {
      for (const entry of entries) count(entry);
      for (const { key } of spans) count(keyOfSpans(watch.type, key));
    }
  }
  return shared;
}

/** An entry has its type within it, the key of a row has not. */
const keyOfSpans = (type: string, key: string): string => `${type} ${key}`;

function indexType(those: readonly Candidate[], shared: ReadonlyMap<string, number>): OfType {
  const byEntry = new Map<string, Candidate[]>();
  const spans = new Map<string, { span: Span; value: Candidate }[]>();
  const rest: Candidate[] = [];
  for (const candidate of those) {
    const need = rarest(candidate.watch, shared);
    if (need === null) rest.push(candidate);
    for (const entry of need?.entries ?? []) add(byEntry, entry, candidate);
    for (const span of need?.spans ?? []) add(spans, span.key, { span, value: candidate });
  }
  return {
    byEntry,
    bySpan: new Map([...spans].map(([key, of]) => [key, indexSpans(of)])),
    rest,
    onDelete: those.filter(({ watch }) => watch.interactions.has('delete')),
  };
}

function add<Key, Value>(to: Map<Key, Value[]>, key: Key, value: Value): void {
  const those = to.get(key);
  if (those) those.push(value);
  else to.set(key, [value]);
}

function rarest({ type, always }: Watch, shared: ReadonlyMap<string, number>): Need | null {
  let best: Need | null = null;
  let bestCount = Number.POSITIVE_INFINITY;
  for (const need of always.needs) {
    const keys = [...need.entries, ...need.spans.map(({ key }) => keyOfSpans(type, key))];
    const count = keys.reduce((sum, key) => sum + (shared.get(key) ?? 0), 0);
    if (count < bestCount) [best, bestCount] = [need, count];
  }
  return best;
}

function among(of: OfType | undefined, entries: Entries): readonly Candidate[] {
  if (!of) return [];
  const found = new Set<Candidate>();
  const take = (candidate: Candidate) => {
    if (!found.has(candidate) && candidate.watch.always.decide(entries) !== false) found.add(candidate);
  };
  for (const candidate of of.rest) take(candidate);
  if (of.byEntry.size > 0) for (const entry of entries.tokens) of.byEntry.get(entry)?.forEach(take);
  for (const [key, index] of of.bySpan)
    for (const span of entries.spans.get(key) ?? []) index.touching(span, take);
  return [...found];
}
