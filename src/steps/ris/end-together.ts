/** More do not make a commit cheaper; a failure undoes no more than these. */
export const ENDS_TOGETHER_MAX = 64;

/**
 * A group waits for lanes whose next message left with the group before, as long as a commit takes at most: a receiver that answers at once then finds all
 * its lanes in one commit, not in two that take turns. One that is slow costs each group these few milliseconds.
 */
export const GATHER_MS_MAX = 5;
/** A timer takes a millisecond: with quicker commits there is nothing to gain. */
const GATHER_MS_MIN = 0.5;

interface Waiting<End, Next> {
  readonly end: End;
  readonly resolve: (next: Next | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Ends the heads of several lanes in one transaction: while one is under way, the next ends gather. A lane then costs its share of one round trip and one
 * commit, where by itself it would cost all of both.
 */
export class EndTogether<End extends { readonly lane: string }, Next> {
  private waiting: Waiting<End, Next>[] = [];
  private working = false;
  /** Lanes that went on with the last group and have not come back. */
  private readonly coming = new Set<string>();
  private allCame: (() => void) | null = null;
  private commitMs = 0;

  constructor(
    /** Writes all or nothing. Gives what follows in each lane that goes on at once: the next group waits for those. */
    private readonly write: (group: readonly End[]) => Promise<ReadonlyMap<string, Next>>,
    /** Was nothing written for certain, so that each may be tried by itself? */
    private readonly isUndone: (error: unknown) => boolean,
  ) {}

  /** Gives what follows in the lane, or null. Throws what `write` does for this end alone, or for its group when nobody knows what became of that. */
  end(end: End): Promise<Next | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ end, resolve, reject });
      this.coming.delete(end.lane);
      if (this.coming.size === 0) this.allCame?.();
      if (!this.working) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.working = true;
    // Answers that came with the same look at the network end together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      await this.gather();
      const group = this.waiting.splice(0, ENDS_TOGETHER_MAX);
      const began = performance.now();
      await this.settle(group);
      this.commitMs = performance.now() - began;
    }
    this.working = false;
  }

  private async settle(group: readonly Waiting<End, Next>[]): Promise<void> {
    try {
      const next = await this.write(group.map(({ end }) => end));
      for (const lane of next.keys()) this.coming.add(lane);
      for (const { end, resolve } of group) resolve(next.get(end.lane) ?? null);
    } catch (error) {
      // One of them is at fault: the others are none the worse for it.
      if (group.length > 1 && this.isUndone(error)) for (const one of group) await this.settle([one]);
      else for (const { reject } of group) reject(error);
    }
  }

  private async gather(): Promise<void> {
    const ms = Math.min(this.commitMs, GATHER_MS_MAX);
    if (this.coming.size > 0 && ms >= GATHER_MS_MIN && this.waiting.length < ENDS_TOGETHER_MAX) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.allCame = resolve;
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
      this.allCame = null;
    }
    // Whoever is late is not waited for a second time.
    this.coming.clear();
  }
}
