/**
 * Shared memory for volumes, used again. A thread that has seen a SharedArrayBuffer holds it until its own collector runs, and the
 * collectors do not count shared memory: series after series would pile up in idle threads. So the memory goes round.
 */
export class TensorMemory {
  private free: SharedArrayBuffer[] = [];

  /** At least so many bytes; what is in them is left over from before. */
  take(bytes: number): SharedArrayBuffer {
    const fitting = this.free.filter((memory) => memory.byteLength >= bytes);
    const best = fitting.sort((a, b) => a.byteLength - b.byteLength)[0];
    if (!best) return new SharedArrayBuffer(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES);
    this.free = this.free.filter((memory) => memory !== best);
    return best;
  }

  /** Only when nobody reads it any more. The smallest of too many is let go. */
  give(memory: SharedArrayBuffer): void {
    this.free.push(memory);
    if (this.free.length <= FREE_MAX) return;
    this.free.sort((a, b) => b.byteLength - a.byteLength).pop();
  }
}

/** Series of nearly the same length use the same memory: 32 CT slices of 512 × 512 as int16. */
const BLOCK_BYTES = 16 * 1024 * 1024;
/** Volumes analysed at the same time by one process. */
const FREE_MAX = 2;
