import type { HeaderBits } from './header-bits.ts';

/** A tag tree (ITU-T T.800 B.10.2): numbers of a grid, each coded as far as a packet needs it. */
export class TagTree {
  /** From the leaves to the root: where the level begins and its width. */
  private readonly levels: { readonly start: number; readonly width: number }[] = [];
  private readonly least: Uint16Array;
  private readonly known: Uint8Array;

  constructor(width: number, height: number) {
    let size = 0;
    for (let across = width, down = height; ; across = (across + 1) >> 1, down = (down + 1) >> 1) {
      this.levels.push({ start: size, width: across });
      size += across * down;
      if (across * down <= 1) break;
    }
    this.least = new Uint16Array(size);
    this.known = new Uint8Array(size);
  }

  /** Reads until it is certain whether the leaf's number is below `limit`; the number, or `limit` where it is not. */
  read(bits: HeaderBits, x: number, y: number, limit: number): number {
    let least = 0;
    for (let level = this.levels.length - 1; level >= 0; level -= 1) {
      const { start, width } = this.levels[level]!;
      const node = start + (y >> level) * width + (x >> level);
      least = Math.max(least, this.least[node]!);
      while (least < limit && this.known[node] === 0) {
        if (bits.bit() === 1) this.known[node] = 1;
        else least += 1;
      }
      this.least[node] = least;
    }
    return least;
  }
}
