import type { AuditEntry } from '../../database/audit-sink.ts';
import type { Actor } from '../../kernel/acting.ts';
import type { Clock } from '../../kernel/clock.ts';
import { eventOf, keysOf, printEvents } from './audit-content.ts';
import { type AuditRow, genesisOf, hashOf } from './audit-row.ts';

/** An entry and who acted when it was handed in. */
export interface ActedEntry {
  readonly entry: AuditEntry;
  readonly actor: Actor | null;
}

/** Rows of a chain that were numbered and then not committed: their place stays empty. `hash` is that of the last. */
export interface VoidRange {
  readonly from: number;
  readonly to: number;
  readonly hash: string;
}

/**
 * The chain of one process. A row has its number and hash before its transaction commits, so transactions run beside each other and wait for
 * no lock. One that rolls back leaves a hole; the chain itself says so in a later row, with the hash that the next row goes on from, so
 * that a hole nobody spoke of is a removed row.
 */
export class AuditChain {
  private seq = 0;
  private hash: Buffer;
  private lastAt = 0;
  private voids: VoidRange[] = [];

  constructor(
    readonly segment: number,
    private readonly clock: Clock,
  ) {
    this.hash = genesisOf(segment);
  }

  /** Links that were made, those that were lost among them. */
  get length(): number {
    return this.seq;
  }

  /** The next link, with these entries. */
  append(entries: readonly ActedEntry[]): AuditRow {
    const events = entries.map(({ entry, actor }) => eventOf(entry, actor));
    // Within a segment time never goes back, even when the clock does: rows in due time are removed from its beginning.
    this.lastAt = Math.max(this.lastAt, this.clock.now().getTime());
    this.seq += 1;
    const link = {
      segment: this.segment,
      seq: this.seq,
      at: new Date(this.lastAt),
      prev: this.hash,
      content: printEvents(events),
    };
    this.hash = hashOf(link);
    return { ...link, hash: this.hash, keys: keysOf(events) };
  }

  /** The row was not committed, or nobody knows. Ranges that follow each other are one. */
  lost({ seq, hash }: Pick<AuditRow, 'seq' | 'hash'>): void {
    this.putBack([{ from: seq, to: seq, hash: hash.toString('hex') }]);
  }

  /** Holes that no row has spoken of yet; whoever takes them writes them down or puts them back. */
  takeVoids(max: number): VoidRange[] {
    return this.voids.splice(0, max);
  }

  putBack(ranges: readonly VoidRange[]): void {
    const all = [...this.voids, ...ranges].sort((a, b) => a.from - b.from);
    this.voids = [];
    for (const range of all) {
      const last = this.voids.at(-1);
      if (last && range.from <= last.to + 1) {
        if (range.to > last.to) this.voids[this.voids.length - 1] = { ...range, from: last.from };
      } else this.voids.push(range);
    }
  }
}
