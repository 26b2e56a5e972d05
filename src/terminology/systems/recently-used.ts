/** Keeps what was used last, up to a sum of weights; the one in use is kept whatever it weighs. */
export class RecentlyUsed<Value> {
  private readonly kept = new Map<string, { readonly value: Value; readonly weight: number }>();
  private weight = 0;

  constructor(private readonly weightMax: number) {}

  get(key: string, weight: number, make: () => Value): Value {
    const known = this.kept.get(key);
    const entry = known ?? { value: make(), weight };
    this.kept.delete(key);
    this.kept.set(key, entry);
    if (!known) this.weight += weight;
    for (const [oldest, { weight: freed }] of this.kept) {
      if (this.weight <= this.weightMax || oldest === key) break;
      this.kept.delete(oldest);
      this.weight -= freed;
    }
    return entry.value;
  }
}
