/** Waiting work that is done together with others. */
interface Waiting<T, R> {
  readonly item: T;
  readonly keys: readonly string[];
  readonly bytes: number;
  readonly lane: object | null;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupOptions {
  /** Groups under way beside each other: what one waits for, the disk or the other side of a socket, another one can use. */
  readonly groupsMax?: number;
  /**
   * Senders that were answered together send again together: the first of them would make a group of its own, and the others would wait
   * for its commit. So after a group of several the next one waits until as many are there again, but no longer than this. 0: it does not wait.
   */
  readonly gatherMs?: number;
  /** A group that takes longer goes on by itself, and the next one begins: what waits for somebody else does not hold up everybody. 0: never. */
  readonly patienceMs?: number;
  /** False: nothing is gained by another try, or the group may have been done in spite of the error; then all of it has failed. */
  readonly mayTryAlone?: (error: unknown) => boolean;
}

/** Bounds what one failure makes to be done again, and how long the first of a group waits for the last. */
export const GROUP_ITEMS_MAX = 64;
/** One statement of more bytes would hold them several times in memory; a single item may be larger. */
export const GROUP_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Does what comes while other work is under way together, as one group with one commit: what a small write costs is above all its round
 * trips to the database and its wait for the disk. After a lone item an item waits for no more than the others that came in the same turn of
 * the event loop, so nobody waits for a group to fill.
 *
 * Items that share a key are never under way together, and go in the order in which they came: the later one sees what the earlier one has
 * written. Items of one lane may be in one group but are never in two at a time: they are written in their order. When a group fails, each of
 * its items is tried alone, so that one bad item fails alone.
 */
export class GroupCommit<T, R> {
  private waiting: Waiting<T, R>[] = [];
  private readonly busyKeys = new Set<string>();
  private readonly busyLanes = new Set<object>();
  private readonly options: Required<GroupOptions>;
  private gathering = false;
  private inFlight = 0;
  private lastSize = 1;
  /** Ends the wait for more; null while nobody waits. */
  private enough: (() => void) | null = null;

  constructor(
    /** Does all items or none; gives one result each, in their order. */
    private readonly run: (items: readonly T[]) => Promise<readonly R[]>,
    options: GroupOptions = {},
  ) {
    this.options = { groupsMax: 1, gatherMs: 0, patienceMs: 0, mayTryAlone: () => true, ...options };
  }

  /** Resolves when the item's group is committed. `keys` name what the item reads and writes; `bytes` is what it holds in memory. */
  add(item: T, keys: readonly string[], bytes = 0, lane: object | null = null): Promise<R> {
    const result = new Promise<R>((resolve, reject) =>
      this.waiting.push({ item, keys, bytes, lane, resolve, reject }),
    );
    if (this.waiting.length >= this.lastSize) this.enough?.();
    void this.work();
    return result;
  }

  private async work(): Promise<void> {
    if (this.gathering) return;
    this.gathering = true;
    while (this.waiting.length > 0 && this.inFlight < this.options.groupsMax) {
      await this.gather();
      const group = this.nextGroup();
      // All that wait share something with what is under way: its end comes back here.
      if (group.length === 0) break;
      this.lastSize = group.length;
      void this.start(group);
    }
    this.gathering = false;
  }

  private async start(group: readonly Waiting<T, R>[]): Promise<void> {
    this.inFlight += 1;
    await this.within(this.runGroup(group));
    this.inFlight -= 1;
    void this.work();
  }

  private gather(): Promise<void> {
    return new Promise((resolve) => {
      const { gatherMs } = this.options;
      if (this.lastSize <= 1 || gatherMs === 0) {
        setImmediate(resolve);
        return;
      }
      const timer = setTimeout(() => this.enough?.(), gatherMs);
      this.enough = () => {
        this.enough = null;
        clearTimeout(timer);
        // Those of the same turn of the event loop still come along.
        setImmediate(resolve);
      };
      if (this.waiting.length >= this.lastSize) this.enough();
    });
  }

  private async within(work: Promise<void>): Promise<void> {
    const { patienceMs } = this.options;
    if (patienceMs === 0) return work;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([work, patience]);
    clearTimeout(timer);
  }

  private nextGroup(): Waiting<T, R>[] {
    const taken = new Set(this.busyKeys);
    const lanes = new Set(this.busyLanes);
    const group: Waiting<T, R>[] = [];
    const later: Waiting<T, R>[] = [];
    let bytes = 0;
    for (const one of this.waiting) {
      const fits =
        group.length === 0 || (group.length < GROUP_ITEMS_MAX && bytes + one.bytes <= GROUP_BYTES_MAX);
      const free = fits && !(one.lane && lanes.has(one.lane)) && !one.keys.some((key) => taken.has(key));
      if (free) {
        bytes += one.bytes;
        group.push(one);
      } else {
        later.push(one);
        // What follows in its lane follows it.
        if (one.lane) lanes.add(one.lane);
      }
      for (const key of one.keys) taken.add(key);
    }
    this.waiting = later;
    return group;
  }

  /** Never rejects. */
  private async runGroup(group: readonly Waiting<T, R>[]): Promise<void> {
    for (const { keys, lane } of group) {
      for (const key of keys) this.busyKeys.add(key);
      if (lane) this.busyLanes.add(lane);
    }
    if (await this.isSettled(group)) return this.release(group);
    // Beside each other, since one may wait for somebody else for long; those of one lane still in their order.
    await Promise.all(
      [...Map.groupBy(group, (one) => one.lane ?? one).values()].map((of) => this.runAlone(of)),
    );
  }

  private async runAlone(ofLane: readonly Waiting<T, R>[]): Promise<void> {
    for (const one of ofLane) await this.isSettled([one]);
    this.release(ofLane);
  }

  /** False: they failed together, and each is to be tried alone. */
  private async isSettled(group: readonly Waiting<T, R>[]): Promise<boolean> {
    try {
      const results = await this.run(group.map((one) => one.item));
      for (const [at, one] of group.entries()) one.resolve(results[at] as R);
    } catch (error) {
      if (group.length > 1 && this.options.mayTryAlone(error)) return false;
      for (const one of group) one.reject(error);
    }
    return true;
  }

  private release(items: readonly Waiting<T, R>[]): void {
    for (const { keys, lane } of items) {
      for (const key of keys) this.busyKeys.delete(key);
      if (lane) this.busyLanes.delete(lane);
    }
    void this.work();
  }
}
