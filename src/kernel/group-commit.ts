import { setImmediate } from 'node:timers/promises';

/** Waiting work that is done together with others. */
interface Waiting<T, R> {
  readonly item: T;
  readonly keys: readonly string[];
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupOptions {
  /** Groups under way beside each other: what one waits for, the disk or the other side of a socket, another one can use. */
  readonly groupsMax?: number;
  /** A group that takes longer goes on by itself, and the next one begins: what waits for somebody else does not hold up everybody. */
  readonly patienceMs?: number;
  /** False: the group may have been done in spite of the error, so its items must not be tried again. */
  readonly mayTryAlone?: (error: unknown) => boolean;
}

/** Bounds what one failure makes to be done again, and how long the first of a group waits for the last. */
export const GROUP_ITEMS_MAX = 64;

/**
 * Does what comes while other work is under way together, as one group with one commit: what a small write costs is above all its round
 * trips to the database and its wait for the disk. An item waits for no more than the others that came in the same turn of the event
 * loop, so nobody waits for a group to fill.
 *
 * Items that share a key are never under way together, and go in the order in which they came: the later one sees what the earlier one has
 * written. When a group fails, each of its items is tried alone, so that one bad item fails alone.
 */
export class GroupCommit<T, R> {
  private waiting: Waiting<T, R>[] = [];
  private readonly underWay = new Set<string>();
  private readonly options: Required<GroupOptions>;
  private workers = 0;

  constructor(
    /** Does all items or none; gives one result each, in their order. */
    private readonly run: (items: readonly T[]) => Promise<readonly R[]>,
    options: GroupOptions = {},
  ) {
    this.options = { groupsMax: 1, patienceMs: 0, mayTryAlone: () => true, ...options };
  }

  /** Resolves when the item's group is committed. `keys` name what the item reads and writes. */
  add(item: T, keys: readonly string[]): Promise<R> {
    const result = new Promise<R>((resolve, reject) => this.waiting.push({ item, keys, resolve, reject }));
    this.wake();
    return result;
  }

  private wake(): void {
    if (this.waiting.length > 0 && this.workers < this.options.groupsMax) void this.work();
  }

  private async work(): Promise<void> {
    this.workers += 1;
    for (;;) {
      await setImmediate();
      const group = this.nextGroup();
      if (group.length === 0) break;
      await this.within(this.runGroup(group));
    }
    this.workers -= 1;
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
    const taken = new Set(this.underWay);
    const group: Waiting<T, R>[] = [];
    const later: Waiting<T, R>[] = [];
    for (const one of this.waiting) {
      const free = group.length < GROUP_ITEMS_MAX && !one.keys.some((key) => taken.has(key));
      (free ? group : later).push(one);
      for (const key of one.keys) taken.add(key);
    }
    this.waiting = later;
    return group;
  }

  /** Never rejects. */
  private async runGroup(group: readonly Waiting<T, R>[]): Promise<void> {
    for (const key of group.flatMap((one) => one.keys)) this.underWay.add(key);
    try {
      const results = await this.run(group.map((one) => one.item));
      for (const [at, one] of group.entries()) one.resolve(results[at] as R);
    } catch (error) {
      if (group.length > 1 && this.options.mayTryAlone(error))
        await Promise.all(group.map((one) => this.runGroup([one])));
      else for (const one of group) one.reject(error);
    }
    for (const key of group.flatMap((one) => one.keys)) this.underWay.delete(key);
    this.wake();
  }
}
