import type { TokenBuckets } from './token-buckets.ts';

/** How long a caller may find a process that has not heard yet what another let through. */
export const SHARE_MS = 1_000;
/** Who takes less than this part of a limit is not told of: a second's 32nd in each process, so up to 32 processes never let through twice the limit. */
export const TOLD_PART = 1 / 32;
/** Callers told of for one limit, the greatest first: a flood from many addresses must not become a flood in the database. */
export const TOLD_CALLERS_MAX = 2_000;
/** After so many looks without a request a caller is told of no more. */
const QUIET_LOOKS_MAX = 10;

/** What a process has let through, by limit and caller: counts that only grow, from when the caller was first told of. */
export type RateUse = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Where processes tell each other. */
export interface RateUseStore {
  /**
   * What the other processes tell, by the name of each, from oldest to newest. `use` is what this one tells from now on; null: as before.
   */
  exchange(process: string, use: RateUse | null): Promise<ReadonlyMap<string, RateUse>>;
}

interface Told {
  count: number;
  quietLooks: number;
}

/**
 * One limit for all processes: each counts for itself, and every second takes from its buckets what the others let through meanwhile. A request
 * waits for nothing. While the database is away each process counts for itself alone.
 */
export class SharedRates {
  private readonly told = new Map<string, Map<string, Told>>();
  /** What was heard of each process last; null before the first look: what was let through before we came is not ours to count. */
  private heard: ReadonlyMap<string, RateUse> | null = null;
  private wasTold = false;

  constructor(
    private readonly limits: Readonly<Record<string, TokenBuckets>>,
    private readonly store: RateUseStore,
    private readonly process: string,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Tells and hears once. @throws what the store throws */
  async exchange(): Promise<void> {
    const changed = this.count();
    const use = this.use();
    const heard = await this.store.exchange(this.process, changed || this.wasTold ? use : null);
    this.wasTold = Object.keys(use).length > 0;
    if (this.heard !== null) this.spend(heard, this.heard);
    this.heard = heard;
  }

  /** From now on every second, one look at a time; gives what ends it. */
  start(): () => void {
    let looking = false;
    const timer = setInterval(() => {
      if (looking) return;
      looking = true;
      // Without the database nothing is served anyway; the next look finds what was told meanwhile.
      void this.exchange()
        .catch(() => undefined)
        .finally(() => {
          looking = false;
        });
    }, SHARE_MS).unref();
    return () => clearInterval(timer);
  }

  /** Takes up what was let through here. Gives true when there is something to tell. */
  private count(): boolean {
    let changed = false;
    for (const [limit, buckets] of Object.entries(this.limits)) {
      const told = this.told.get(limit) ?? new Map<string, Told>();
      this.told.set(limit, told);
      const least = buckets.perSecond * (SHARE_MS / 1_000) * TOLD_PART;
      const taken = [...buckets.drain()].filter(([, count]) => count >= least);
      if (taken.length > TOLD_CALLERS_MAX) taken.sort(([, a], [, b]) => b - a);
      for (const one of told.values()) one.quietLooks += 1;
      for (const [caller, count] of taken.slice(0, TOLD_CALLERS_MAX)) {
        told.set(caller, { count: (told.get(caller)?.count ?? 0) + count, quietLooks: 0 });
        changed = true;
      }
      for (const [caller, { quietLooks }] of told)
        if (quietLooks > QUIET_LOOKS_MAX || told.size > 2 * TOLD_CALLERS_MAX) {
          told.delete(caller);
          changed = true;
        }
    }
    return changed;
  }

  private use(): RateUse {
    return Object.fromEntries(
      [...this.told]
        .filter(([, callers]) => callers.size > 0)
        .map(([limit, callers]) => [
          limit,
          Object.fromEntries([...callers].map(([caller, { count }]) => [caller, count])),
        ]),
    );
  }

  private spend(heard: ReadonlyMap<string, RateUse>, before: ReadonlyMap<string, RateUse>): void {
    const nowMs = this.nowMs();
    for (const [process, use] of heard)
      for (const [limit, callers] of Object.entries(use))
        for (const [caller, count] of Object.entries(callers)) {
          const known = before.get(process)?.[limit]?.[caller] ?? 0;
          // A count that fell began anew.
          const more = count >= known ? count - known : count;
          if (more > 0) this.limits[limit]?.spend(caller, more, nowMs);
        }
  }
}
