/** A piece: voxels of one label that are joined face to face. */
export interface Piece {
  readonly label: number;
  readonly voxels: number;
  /** First slice, row, column and the last ones, both inside. */
  readonly from: readonly [number, number, number];
  readonly to: readonly [number, number, number];
  /** Runs along the columns: first voxel and length. */
  readonly runs: readonly (readonly [number, number])[];
}

/**
 * The pieces of a grid of labels, largest first. Runs along the columns are joined where they touch a run of the same label in the row before and in
 * the slice before (union-find); so the memory needed is that of the runs, not of the voxels.
 */
export function labelPieces(
  grid: Uint8Array,
  [slices, rows, columns]: readonly [number, number, number],
): Piece[] {
  const runs = new Runs();
  const ends = new Int32Array(slices * rows + 1);
  for (let line = 0; line < slices * rows; line++) {
    runs.readLine(grid, line * columns, columns);
    ends[line + 1] = runs.count;
    if (line % rows > 0) runs.join(ends, line, line - 1, columns);
    if (line >= rows) runs.join(ends, line, line - rows, columns);
  }
  return collect(runs, rows, columns);
}

class Runs {
  count = 0;
  readonly first: number[] = [];
  readonly length: number[] = [];
  readonly label: number[] = [];
  private readonly parent: number[] = [];

  readLine(grid: Uint8Array, start: number, columns: number): void {
    for (let x = 0; x < columns; ) {
      const label = grid[start + x]!;
      let end = x + 1;
      while (end < columns && grid[start + end] === label) end++;
      if (label !== 0) {
        this.first.push(start + x);
        this.length.push(end - x);
        this.label.push(label);
        this.parent.push(this.count++);
      }
      x = end;
    }
  }

  /** Two lines, each with its runs in order: like merging sorted lists. */
  join(ends: Int32Array, line: number, before: number, columns: number): void {
    const shift = (line - before) * columns;
    let a = ends[before]!;
    for (let b = ends[line]!; b < ends[line + 1]!; b++) {
      const [start, end] = [this.first[b]! - shift, this.first[b]! - shift + this.length[b]!];
      while (a < ends[before + 1]! && this.first[a]! + this.length[a]! <= start) a++;
      for (let k = a; k < ends[before + 1]! && this.first[k]! < end; k++)
        if (this.label[k] === this.label[b]) this.parent[this.root(b)] = this.root(k);
    }
  }

  root(run: number): number {
    let at = run;
    while (this.parent[at] !== at) {
      this.parent[at] = this.parent[this.parent[at]!]!;
      at = this.parent[at]!;
    }
    return at;
  }
}

function collect(runs: Runs, rows: number, columns: number): Piece[] {
  interface Growing {
    label: number;
    voxels: number;
    from: [number, number, number];
    to: [number, number, number];
    runs: [number, number][];
  }
  const pieces = new Map<number, Growing>();
  for (let run = 0; run < runs.count; run++) {
    const root = runs.root(run);
    const [first, length] = [runs.first[run]!, runs.length[run]!];
    const line = Math.floor(first / columns);
    const start = [Math.floor(line / rows), line % rows, first % columns] as const;
    const end = [start[0], start[1], start[2] + length - 1] as const;
    let piece = pieces.get(root);
    if (!piece) {
      piece = { label: runs.label[run]!, voxels: 0, from: [...start], to: [...end], runs: [] };
      pieces.set(root, piece);
    }
    piece.voxels += length;
    piece.runs.push([first, length]);
    for (let axis = 0; axis < 3; axis++) {
      piece.from[axis] = Math.min(piece.from[axis]!, start[axis]!);
      piece.to[axis] = Math.max(piece.to[axis]!, end[axis]!);
    }
  }
  return [...pieces.values()].sort((a, b) => b.voxels - a.voxels);
}
