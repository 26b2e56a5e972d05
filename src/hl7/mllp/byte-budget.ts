/** A connection as the budget sees it. */
export interface BudgetHolder {
  /** Reading may go on. */
  goOn(): void;
}

/** What one connection may hold however full the budget is: usual messages always get through. */
export const FREE_BYTES = 64 * 1024;

/**
 * Bounds the bytes that the connections of a listener hold and that are not answered yet. When the bound is reached, a connection that holds more
 * than `FREE_BYTES` stops reading until others are answered; its sender waits in its own buffers. One of them, the first, reads
 * on all the same, so that a memory full of half frames still empties: at most `max` + one frame + `FREE_BYTES` for each connection.
 */
export class ByteBudget {
  private readonly holders = new Map<BudgetHolder, number>();
  /** Those that stopped reading, in the order in which they did. */
  private readonly stopped = new Set<BudgetHolder>();
  private first: BudgetHolder | null = null;
  private total = 0;

  constructor(private readonly max: number) {}

  get held(): number {
    return this.total;
  }

  /** The holder has so many bytes now. Gives false when it must stop reading until it is told to go on. */
  set(holder: BudgetHolder, bytes: number): boolean {
    this.total += bytes - (this.holders.get(holder) ?? 0);
    if (bytes > 0) this.holders.set(holder, bytes);
    else this.holders.delete(holder);
    if (bytes <= FREE_BYTES && this.first === holder) this.first = null;
    const mayRead = this.total <= this.max || bytes <= FREE_BYTES || this.isFirst(holder);
    if (mayRead) this.stopped.delete(holder);
    else this.stopped.add(holder);
    this.letGo();
    return mayRead;
  }

  private isFirst(holder: BudgetHolder): boolean {
    this.first ??= holder;
    return this.first === holder;
  }

  private letGo(): void {
    for (const holder of this.stopped) {
      if (this.total > this.max && !this.isFirst(holder)) return;
      this.stopped.delete(holder);
      holder.goOn();
    }
  }
}
