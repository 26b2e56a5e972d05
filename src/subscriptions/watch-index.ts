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
  among(type: string, entries: ReadonlySet<string>): readonly Candidate[];
  /** Those that want to hear of deletions. */
  onDelete(type: string): readonly Candidate[];
}

interface OfType {
  /** By one entry that each match has. */
  readonly byEntry: Map<string, Candidate[]>;
  /** Those that no entry tells apart. */
  readonly rest: Candidate[];
  readonly onDelete: Candidate[];
}

/**
 * Each watch is filed under the entries of one of its criteria: of several the one that fewest others share (`code=c7`, not
 * `status=final`), so that a common entry does not bring up everybody.
 */
export function indexWatches(subscriptions: readonly ReadSubscription[]): WatchIndex {
  const all = subscriptions.flatMap((subscription) =>
    subscription.watches.map((watch): Candidate => ({ subscription, watch })),
  );
  const shared = new Map<string, number>();
  for (const { watch } of all)
    for (const needs of watch.always.needs)
      for (const entry of needs) shared.set(entry, (shared.get(entry) ?? 0) + 1);
  const types = new Map<string, OfType>();
  for (const candidate of all) {
    const { watch } = candidate;
    const of: OfType = types.get(watch.type) ?? { byEntry: new Map(), rest: [], onDelete: [] };
    types.set(watch.type, of);
    if (watch.interactions.has('delete')) of.onDelete.push(candidate);
    const key = rarest(watch.always.needs, shared);
    if (key === null) of.rest.push(candidate);
    for (const entry of key ?? []) {
      const those = of.byEntry.get(entry);
      if (those) those.push(candidate);
      else of.byEntry.set(entry, [candidate]);
    }
  }
  return {
    has: (type) => types.has(type),
    among: (type, entries) => among(types.get(type), entries),
    onDelete: (type) => types.get(type)?.onDelete ?? [],
  };
}

function rarest(
  needs: readonly (readonly string[])[],
  shared: ReadonlyMap<string, number>,
): readonly string[] | null {
  let best: readonly string[] | null = null;
  let bestCount = Number.POSITIVE_INFINITY;
  for (const entries of needs) {
    const count = entries.reduce((sum, entry) => sum + (shared.get(entry) ?? 0), 0);
    if (count < bestCount) [best, bestCount] = [entries, count];
  }
  return best;
}

function among(of: OfType | undefined, entries: ReadonlySet<string>): readonly Candidate[] {
  if (!of) return [];
  const found = new Set<Candidate>();
  const take = (candidate: Candidate) => {
    if (candidate.watch.always.decide(entries) !== false) found.add(candidate);
  };
  for (const candidate of of.rest) take(candidate);
  if (of.byEntry.size > 0) for (const entry of entries) of.byEntry.get(entry)?.forEach(take);
  return [...found];
}
