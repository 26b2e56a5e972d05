/** Waiting for one file at a time leaves the sender waiting too. The thread pool of Node has four threads. */
const WRITES_MAX = 4;
/** What may wait in memory for the disk. */
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Writes that go on while the next bytes arrive, in bounded memory. */
export class WriteQueue {
  private readonly running = new Set<Promise<void>>();
  private readonly waiting: { readonly bytes: number; readonly write: () => Promise<void> }[] = [];
  private bytes = 0;
  private failure: { readonly error: unknown } | null = null;

  /** Returns when there is room for more. Throws what an earlier write threw. */
  async add(bytes: number, write: () => Promise<void>): Promise<void> {
    this.waiting.push({ bytes, write });
    this.bytes += bytes;
    this.next();
    while (this.bytes > WAITING_BYTES_MAX && this.running.size > 0) await Promise.race(this.running);
    this.check();
  }

  /** All is written. Throws what a write threw. */
  async end(): Promise<void> {
    while (this.running.size > 0) await Promise.race(this.running);
    this.check();
  }

  /** Nothing is being written any more; what had not begun is dropped. */
  async settled(): Promise<void> {
    this.waiting.length = 0;
    await Promise.all(this.running);
  }

  private check(): void {
    if (this.failure) throw this.failure.error;
  }

  private next(): void {
    while (this.running.size < WRITES_MAX) {
      const job = this.waiting.shift();
      if (!job) return;
      const run: Promise<void> = job
        .write()
        .catch((error: unknown) => {
          this.failure ??= { error };
          this.waiting.length = 0;
        })
        .finally(() => {
          this.running.delete(run);
          this.bytes -= job.bytes;
          this.next();
        });
      this.running.add(run);
    }
  }
}
