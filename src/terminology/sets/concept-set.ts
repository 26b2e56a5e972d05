/**
 * A set of concepts of one code system, one bit per concept. Concepts are numbered 0, 1, 2, … in the order in which they are shown, so
 * the set is also a sorted list. 500,000 concepts take 62 KB; union, intersection and difference take some ten microseconds.
 */
export class ConceptSet {
  private readonly words: Uint32Array;

  /** Empty; for numbers from 0 to `size` - 1. */
  constructor(readonly size: number) {
    this.words = new Uint32Array((size + 31) >>> 5);
  }

  static of(size: number, ids: Iterable<number>): ConceptSet {
    const set = new ConceptSet(size);
    for (const id of ids) set.add(id);
    return set;
  }

  static all(size: number): ConceptSet {
    const set = new ConceptSet(size);
    set.words.fill(0xffffffff);
    if (size % 32 !== 0) set.words[set.words.length - 1] = 2 ** (size % 32) - 1;
    return set;
  }

  /** Numbers out of range are not taken in. */
  add(id: number): void {
    if (id >= 0 && id < this.size) this.words[id >>> 5] = (this.words[id >>> 5] ?? 0) | (1 << (id & 31));
  }

  has(id: number): boolean {
    return ((this.words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  union(other: ConceptSet): ConceptSet {
    return this.combined(other, (a, b) => a | b);
  }

  intersection(other: ConceptSet): ConceptSet {
    return this.combined(other, (a, b) => a & b);
  }

  without(other: ConceptSet): ConceptSet {
    return this.combined(other, (a, b) => a & ~b);
  }

  /** How many. */
  count(): number {
    let count = 0;
    for (const word of this.words) count += bitsIn(word);
    return count;
  }

  /** The numbers in ascending order, from the one at position `offset`, `limit` at most. */
  slice(offset: number, limit: number): number[] {
    const ids: number[] = [];
    let skip = offset;
    for (let at = 0; at < this.words.length && ids.length < limit; at++) {
      let word = this.words[at] ?? 0;
      if (word === 0) continue;
      const bits = bitsIn(word);
      if (skip >= bits) {
        skip -= bits;
        continue;
      }
      for (; word !== 0 && ids.length < limit; word &= word - 1) {
        if (skip > 0) skip -= 1;
        else ids.push((at << 5) + 31 - Math.clz32(word & -word));
      }
    }
    return ids;
  }

  private combined(other: ConceptSet, join: (a: number, b: number) => number): ConceptSet {
    const result = new ConceptSet(Math.max(this.size, other.size));
    for (let at = 0; at < result.words.length; at++)
      result.words[at] = join(this.words[at] ?? 0, other.words[at] ?? 0);
    return result;
  }
}

function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
