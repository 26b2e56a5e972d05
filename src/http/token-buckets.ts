/** Callers remembered; each costs some 200 bytes. More at once than a hospital has. */
export const CALLERS_MAX = 50_000;

/** What other processes let through is owed here for so long at most: a fault in their counts locks nobody out for good. */
export const OWED_S_MAX = 60;

interface Bucket {
  /** Below zero while what other processes let through is still owed. */
  left: number;
  /** When `left` was right, in milliseconds. */
  at: number;
}

/**
 * Token buckets, one per caller: each holds `burst` and fills at `perSecond`. Memory is bounded: when too many callers are remembered, those whose bucket
 * is full are forgotten, which changes nothing for them; when all are busy, the one that came first.
 */
export class TokenBuckets {
  private readonly buckets = new Map<string, Bucket>();
  /** What was let through here since the last `drain`, by caller. */
  private taken = new Map<string, number>();

  constructor(
    readonly perSecond: number,
    private readonly burst: number,
    private readonly callersMax = CALLERS_MAX,
  ) {}

  /**
   * Takes one. Gives 0, or, when there is none, in how many seconds (whole, at least one) there is.
   *
   * @param nowMs of a clock that never goes back
   */
  take(caller: string, nowMs: number): number {
    const bucket = this.filled(caller, nowMs);
    if (bucket.left < 1) return Math.max(1, Math.ceil((1 - bucket.left) / this.perSecond));
    bucket.left -= 1;
    const taken = this.taken.get(caller) ?? 0;
    if (taken > 0 || this.taken.size < this.callersMax) this.taken.set(caller, taken + 1);
    return 0;
  }

  /** Other processes let so many through. */
  spend(caller: string, count: number, nowMs: number): void {
    const bucket = this.filled(caller, nowMs);
    bucket.left = Math.max(bucket.left - count, -OWED_S_MAX * this.perSecond);
  }

  /** What was let through here since the last call. */
  drain(): ReadonlyMap<string, number> {
    const { taken } = this;
    this.taken = new Map();
    return taken;
  }

  get size(): number {
    return this.buckets.size;
  }

  private filled(caller: string, nowMs: number): Bucket {
    const bucket = this.buckets.get(caller) ?? this.make(caller, nowMs);
    bucket.left = Math.min(this.burst, bucket.left + ((nowMs - bucket.at) * this.perSecond) / 1_000);
    bucket.at = nowMs;
    return bucket;
  }

  private make(caller: string, nowMs: number): Bucket {
    if (this.buckets.size >= this.callersMax) this.forget(nowMs);
    const bucket = { left: this.burst, at: nowMs };
    this.buckets.set(caller, bucket);
    return bucket;
  }

  private forget(nowMs: number): void {
    // An attacker with ever new addresses must not make each request walk the whole list: a slice of it, oldest first, is enough.
    let looked = 0;
    for (const [caller, { left, at }] of this.buckets) {
      if (looked >= SLICE) break;
      looked += 1;
      if (left + ((nowMs - at) * this.perSecond) / 1_000 >= this.burst) this.buckets.delete(caller);
    }
    if (this.buckets.size < this.callersMax) return;
    const [first] = this.buckets.keys();
    if (first !== undefined) this.buckets.delete(first);
  }
}

const SLICE = 64;
