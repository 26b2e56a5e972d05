import type { Entries, Link, Need } from '../fhir/match-criteria.ts';
import { indexSpans, type Span, type SpanIndex } from '../fhir/span-index.ts';
import type { ReadSubscription } from './read-subscription.ts';
import type { Watch } from './watch.ts';

/** A watch and whose it is. */
export interface Candidate {
  readonly subscription: ReadSubscription;
  readonly watch: Watch;
}

/** What a resource refers to by entries `<head><id>`, as far as it is there; null: not known. */
export type Linked = (entries: Entries, head: string, type: string) => readonly Entries[] | null;

/** Finds the few watches that a change might concern among many. */
export interface WatchIndex {
  /** Is there any watch of the type? If not, a write of it costs this one look in a map. */
  has(type: string): boolean;
  /** The references of the type whose targets must be known: entries `<head><id>` name a resource of `type`. */
  heads(type: string): readonly { head: string; type: string }[];
  /** Those that may match a new version with these entries; none that could is missing. */
  among(type: string, entries: Entries, linked: Linked): readonly Candidate[];
  /** Those that want to hear of deletions. */
  onDelete(type: string): readonly Candidate[];
}

/** Finds those of many whose need is met. */
interface NeedIndex {
  readonly all: readonly Candidate[];
  find(entries: Entries, found: (candidate: Candidate) => void): void;
}

interface OfType {
  /** By one thing that each match has. */
  readonly own: NeedIndex;
  /** By one thing that what each match refers to has: `subject:Patient.name=ann`. */
  readonly linked: ReadonlyMap<string, { head: string; type: string; index: NeedIndex }>;
  /** Those that nothing in memory tells apart. */
  readonly rest: Candidate[];
  readonly onDelete: Candidate[];
}

/** A need that more criteria share is no help: then a chain is looked at from its other end, for which what is referred to is read. */
export const SHARED_MAX = 10;

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
    heads: (type) => [...(indexed.get(type)?.linked.values() ?? [])],
    among: (type, entries, linked) => among(indexed.get(type), entries, linked),
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
  const own: Filed[] = [];
  const byHead = new Map<string, { type: string; filed: Filed[] }>();
  const rest: Candidate[] = [];
  for (const candidate of those) {
    const { need, count } = rarest(candidate.watch, shared);
    const ways = count > SHARED_MAX ? candidate.watch.always.links.find(isFiled) : undefined;
    for (const { heads, type, needs } of ways ?? [])
      for (const head of heads) {
        const of = byHead.get(head) ?? { type, filed: [] };
        of.filed.push({ candidate, need: needs as Need });
        byHead.set(head, of);
      }
    if (ways) continue;
    if (need === null) rest.push(candidate);
    else own.push({ candidate, need });
  }
  const linked = [...byHead].map(
    ([head, { type, filed }]) => [head, { head, type, index: indexNeeds(filed) }] as const,
  );
  return {
    own: indexNeeds(own),
    linked: new Map(linked),
    rest,
    onDelete: those.filter(({ watch }) => watch.interactions.has('delete')),
  };
}

/** Can each way of a chain be looked up from its other end? */
const isFiled = (ways: readonly Link[]): boolean =>
  ways.length > 0 && ways.every(({ kind, needs }) => kind === 'refers' && needs !== null);

interface Filed {
  readonly candidate: Candidate;
  readonly need: Need;
}

function indexNeeds(filed: readonly Filed[]): NeedIndex {
  const byEntry = new Map<string, Candidate[]>();
  /** By key, those where each match has a row that touches a span: `value-quantity=gt5`, `name=ann`. */
  const spans = new Map<string, { span: Span; value: Candidate }[]>();
  for (const { candidate, need } of filed) {
    for (const entry of need.entries) add(byEntry, entry, candidate);
    for (const span of need.spans) add(spans, span.key, { span, value: candidate });
  }
  const bySpan: [string, SpanIndex<Candidate>][] = [...spans].map(([key, of]) => [key, indexSpans(of)]);
  return {
    all: filed.map(({ candidate }) => candidate),
    find: (entries, found) => {
      if (byEntry.size > 0) for (const entry of entries.tokens) byEntry.get(entry)?.forEach(found);
      for (const [key, index] of bySpan)
        for (const span of entries.spans.get(key) ?? []) index.touching(span, found);
    },
  };
}

function add<Key, Value>(to: Map<Key, Value[]>, key: Key, value: Value): void {
  const those = to.get(key);
  if (those) those.push(value);
  else to.set(key, [value]);
}

function rarest(
  { type, always }: Watch,
  shared: ReadonlyMap<string, number>,
): { need: Need | null; count: number } {
  let best: Need | null = null;
  let bestCount = Number.POSITIVE_INFINITY;
  for (const need of always.needs) {
    const keys = [...need.entries, ...need.spans.map(({ key }) => keyOfSpans(type, key))];
    const count = keys.reduce((sum, key) => sum + (shared.get(key) ?? 0), 0);
    if (count < bestCount) [best, bestCount] = [need, count];
  }
  return { need: best, count: bestCount };
}

function among(of: OfType | undefined, entries: Entries, linked: Linked): readonly Candidate[] {
  if (!of) return [];
  const found = new Set<Candidate>();
  const take = (candidate: Candidate) => {
    if (!found.has(candidate) && candidate.watch.always.decide(entries) !== false) found.add(candidate);
  };
  for (const candidate of of.rest) take(candidate);
  of.own.find(entries, take);
  for (const { head, type, index } of of.linked.values()) {
    const others = linked(entries, head, type);
    if (others === null) index.all.forEach(take);
    else for (const other of others) index.find(other, take);
  }
  return [...found];
}
