import { Failure } from '../../kernel/errors.ts';
import { IdListWriter, writeIds } from '../sets/id-list.ts';

/** Pairs of a concept and one above it. SNOMED CT has some ten million; a chain of 10,000 concepts has fifty. Four bytes each while importing. */
export const ANCESTOR_PAIRS_MAX = 60_000_000;

/**
 * Who stands above whom, made out of the pairs child → parent once, at import. Concepts are numbers from 0; a concept may have several
 * parents (SNOMED CT is a directed graph without loops, not a tree).
 *
 * @throws Failure `terminology.import` for a loop, and for more than `pairsMax` pairs
 */
export class Hierarchy {
  private readonly firstParent: Int32Array;
  private readonly allParents: Int32Array;
  private readonly start: Int32Array;
  private readonly end: Int32Array;
  private above: Int32Array;
  private used = 0;

  /** `children[i]` has the parent `parents[i]`; in ascending order of children, then parents, each pair once. */
  constructor(
    private readonly size: number,
    children: Int32Array,
    parents: Int32Array,
    private readonly pairsMax = ANCESTOR_PAIRS_MAX,
  ) {
    this.firstParent = offsetsOf(size, children);
    this.allParents = parents;
    this.start = new Int32Array(size);
    this.end = new Int32Array(size);
    this.above = new Int32Array(Math.max(1024, parents.length * 4));
    const marks = new Int32Array(size).fill(-1);
    for (const id of parentsFirst(size, children, parents)) this.close(id, marks);
  }

  parents(id: number): Buffer {
    return writeIds(this.parentsOf(id));
  }

  ancestors(id: number): Buffer {
    return writeIds(this.ancestorsOf(id));
  }

  /** Of each concept that has concepts under it: their list. */
  descendants(): Map<number, IdListWriter> {
    return this.inverted((id) => this.ancestorsOf(id));
  }

  children(): Map<number, IdListWriter> {
    return this.inverted((id) => this.parentsOf(id));
  }

  private parentsOf(id: number): Int32Array {
    return this.allParents.subarray(this.firstParent[id], this.firstParent[id + 1]);
  }

  private ancestorsOf(id: number): Int32Array {
    return this.above.subarray(this.start[id], this.end[id]);
  }

  private inverted(of: (id: number) => Int32Array): Map<number, IdListWriter> {
    const lists = new Array<IdListWriter | undefined>(this.size);
    for (let id = 0; id < this.size; id++) {
      for (const other of of(id)) {
        let list = lists[other];
        if (!list) {
          list = new IdListWriter();
          lists[other] = list;
        }
        list.add(id);
      }
    }
    return new Map(lists.flatMap((list, id) => (list ? [[id, list] as const] : [])));
  }

  /** Its parents and what stands above them, whose own ancestors are there already. */
  private close(id: number, marks: Int32Array): void {
    const start = this.used;
    for (const parent of this.parentsOf(id)) {
      this.take(id, parent, marks);
      for (let at = this.start[parent] as number; at < (this.end[parent] as number); at++)
        this.take(id, this.above[at] as number, marks);
    }
    this.start[id] = start;
    this.end[id] = this.used;
    this.above.subarray(start, this.used).sort();
  }

  private take(id: number, ancestor: number, marks: Int32Array): void {
    if (marks[ancestor] === id) return;
    marks[ancestor] = id;
    if (this.used === this.pairsMax)
      throw new Failure(
        'terminology.import',
        `The hierarchy has more than ${this.pairsMax} pairs of a concept and one above it; it is too deep to be held.`,
      );
    if (this.used === this.above.length) {
      const larger = new Int32Array(Math.min(this.pairsMax, Math.ceil(this.above.length * 1.6)));
      larger.set(this.above);
      this.above = larger;
    }
    this.above[this.used++] = ancestor;
  }
}

/** Where the pairs of each child begin. */
function offsetsOf(size: number, children: Int32Array): Int32Array {
  const offsets = new Int32Array(size + 1);
  for (const child of children) offsets[child + 1] = (offsets[child + 1] as number) + 1;
  for (let at = 0; at < size; at++) offsets[at + 1] = (offsets[at + 1] as number) + (offsets[at] as number);
  return offsets;
}

/** All concepts, each after its parents (Kahn 1962). */
function parentsFirst(size: number, children: Int32Array, parents: Int32Array): Int32Array {
  const waiting = new Int32Array(size);
  for (const child of children) waiting[child] = (waiting[child] as number) + 1;
  const firstChild = new Int32Array(size).fill(-1);
  const nextChild = new Int32Array(children.length);
  for (let at = 0; at < children.length; at++) {
    const parent = parents[at] as number;
    nextChild[at] = firstChild[parent] as number;
    firstChild[parent] = at;
  }
  const order = new Int32Array(size);
  let known = 0;
  for (let id = 0; id < size; id++) if (waiting[id] === 0) order[known++] = id;
  for (let at = 0; at < known; at++) {
    for (
      let edge = firstChild[order[at] as number] as number;
      edge !== -1;
      edge = nextChild[edge] as number
    ) {
      const child = children[edge] as number;
      const left = (waiting[child] as number) - 1;
      waiting[child] = left;
      if (left === 0) order[known++] = child;
    }
  }
  if (known < size)
    throw new Failure(
      'terminology.import',
      `The hierarchy has a loop: ${size - known} concepts stand in it or under it. Correct the file.`,
    );
  return order;
}
