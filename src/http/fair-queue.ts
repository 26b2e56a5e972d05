/**
 * So many at once, and in turns: while callers wait, each free place goes to the next caller and not to the next request. A caller who asks two hundred
 * things at once so waits for himself, and everybody else for one of them at most.
 */
export class FairQueue {
  /** Waiting requests by caller; the caller whose turn it is comes first. */
  private readonly waiting = new Map<string, (() => void)[]>();
  private running = 0;

  constructor(private readonly places: number) {}

  /** Resolves when there is a place. Whoever enters must `leave`, once. */
  enter(caller: string): Promise<void> | null {
    if (this.running < this.places && this.waiting.size === 0) {
      this.running += 1;
      return null;
    }
    return new Promise((resolve) => {
      const own = this.waiting.get(caller);
      if (own) own.push(resolve);
      else this.waiting.set(caller, [resolve]);
    });
  }

  leave(): void {
    const next = this.waiting.entries().next();
    if (next.done) {
      this.running -= 1;
      return;
    }
    const [caller, own] = next.value;
    this.waiting.delete(caller);
    const enter = own.shift();
    if (own.length > 0) this.waiting.set(caller, own);
    enter?.();
  }

  get waitingCount(): number {
    let count = 0;
    for (const own of this.waiting.values()) count += own.length;
    return count;
  }
}
