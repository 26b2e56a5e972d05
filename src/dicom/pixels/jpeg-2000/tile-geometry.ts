import { type ComponentCoding, must, type Region } from './codestream-markers.ts';
import { TagTree } from './tag-tree.ts';

export interface CodeBlock {
  readonly x0: number;
  readonly y0: number;
  readonly width: number;
  readonly height: number;
  /** Bit-planes that are coded; 0 until the block is first included. */
  planes: number;
  passes: number;
  lengthBits: number;
  bytes: number;
  /** Where its bytes stand in the tile's packets: begin and length in turn. */
  readonly pieces: number[];
}

/** The code-blocks of a sub-band within one precinct. */
export interface BandPrecinct {
  readonly across: number;
  readonly blocks: readonly CodeBlock[];
  readonly inclusion: TagTree;
  readonly zeroPlanes: TagTree;
  /** Bit-planes of the sub-band (equation E-2). */
  readonly planesMax: number;
}

export interface Band extends Region {
  /** 0 for LL and LH, 1 for HL, 2 for HH: the three kinds of contexts. */
  readonly kind: number;
  readonly precincts: readonly BandPrecinct[];
}

export interface Precinct {
  readonly resolution: number;
  readonly component: number;
  readonly index: number;
  /** Where it begins on the reference grid: the place in progressions by position. */
  readonly x: number;
  readonly y: number;
  readonly bands: readonly BandPrecinct[];
}

export interface Resolution extends Region {
  readonly bands: readonly Band[];
}

export interface TileComponent {
  readonly resolutions: readonly Resolution[];
  readonly precincts: readonly Precinct[];
}

/** A picture of more precincts and code-blocks is not decoded here: a radiograph of 16 million pixels in blocks of 16 × 16 has less. */
export const PARTS_MAX = 131_072;

/**
 * Divides a tile-component into resolutions, sub-bands, precincts and code-blocks (ITU-T T.800 B.5 to B.7). `budget`: what is left of PARTS_MAX for the picture.
 */
export function layOutComponent(
  tile: Region,
  coding: ComponentCoding,
  component: number,
  budget: { parts: number },
): TileComponent {
  const { levels } = coding;
  const precincts: Precinct[] = [];
  const resolutions = Array.from({ length: levels + 1 }, (_, resolution): Resolution => {
    const region = reduced(tile, levels - resolution, 0, 0);
    const grid = precinctGrid(region, coding.precincts[resolution]!);
    const count = grid.across * grid.down;
    budget.parts -= count;
    must(budget.parts >= 0);
    const bands = bandsOf(tile, coding, resolution).map(({ kind, exponent, ...band }): Band => {
      const planesMax = coding.guardBits + exponent - 1;
      const parts = Array.from({ length: count }, (_, index) =>
        bandPrecinct(within(band, grid, index, resolution > 0), grid, { coding, planesMax, budget }),
      );
      return { ...band, kind, precincts: parts };
    });
    for (let index = 0; index < count; index += 1) {
      const x = start(region.x0, tile.x0, grid.width, grid.x + (index % grid.across), levels - resolution);
      const row = grid.y + Math.floor(index / grid.across);
      const y = start(region.y0, tile.y0, grid.height, row, levels - resolution);
      precincts.push({
        resolution,
        component,
        index,
        x,
        y,
        bands: bands.map((band) => band.precincts[index]!),
      });
    }
    return { ...region, bands };
  });
  return { resolutions, precincts };
}

/** Equations B-14 and B-15; `across` and `down` say of which offset sub-band. */
function reduced({ x0, y0, x1, y1 }: Region, level: number, across: number, down: number): Region {
  const size = 2 ** level;
  const right = across * 2 ** (level - 1);
  const below = down * 2 ** (level - 1);
  return {
    x0: Math.ceil((x0 - right) / size),
    y0: Math.ceil((y0 - below) / size),
    x1: Math.ceil((x1 - right) / size),
    y1: Math.ceil((y1 - below) / size),
  };
}

function bandsOf(tile: Region, { levels, exponents }: ComponentCoding, resolution: number) {
  if (resolution === 0) return [{ ...reduced(tile, levels, 0, 0), kind: 0, exponent: exponents[0]! }];
  const level = levels - resolution + 1;
  const first = 3 * resolution - 2;
  return [
    { ...reduced(tile, level, 1, 0), kind: 1, exponent: exponents[first]! },
    { ...reduced(tile, level, 0, 1), kind: 0, exponent: exponents[first + 1]! },
    { ...reduced(tile, level, 1, 1), kind: 2, exponent: exponents[first + 2]! },
  ];
}

interface PrecinctGrid {
  /** Exponents of a precinct's width and height, and the first precinct's place counted from the origin. */
  readonly width: number;
  readonly height: number;
  readonly x: number;
  readonly y: number;
  readonly across: number;
  readonly down: number;
}

/** Equation B-16. */
function precinctGrid(
  { x0, y0, x1, y1 }: Region,
  { width, height }: { width: number; height: number },
): PrecinctGrid {
  const x = Math.floor(x0 / 2 ** width);
  const y = Math.floor(y0 / 2 ** height);
  const none = x1 <= x0 || y1 <= y0;
  const across = none ? 0 : Math.ceil(x1 / 2 ** width) - x;
  const down = none ? 0 : Math.ceil(y1 / 2 ** height) - y;
  return { width, height, x, y, across, down };
}

/** The part of a sub-band in one precinct; above the lowest resolution a precinct has half its size in each. */
function within(
  band: Region,
  grid: PrecinctGrid,
  index: number,
  halved: boolean,
): Region & { halved: boolean } {
  const width = 2 ** (grid.width - Number(halved));
  const height = 2 ** (grid.height - Number(halved));
  const x = (grid.x + (index % grid.across)) * width;
  const y = (grid.y + Math.floor(index / grid.across)) * height;
  return {
    halved,
    x0: Math.max(band.x0, x),
    y0: Math.max(band.y0, y),
    x1: Math.min(band.x1, x + width),
    y1: Math.min(band.y1, y + height),
  };
}

function bandPrecinct(
  region: Region & { halved: boolean },
  grid: PrecinctGrid,
  { coding, planesMax, budget }: { coding: ComponentCoding; planesMax: number; budget: { parts: number } },
): BandPrecinct {
  const width = 2 ** Math.min(coding.blockWidth, grid.width - Number(region.halved));
  const height = 2 ** Math.min(coding.blockHeight, grid.height - Number(region.halved));
  const none = region.x1 <= region.x0 || region.y1 <= region.y0;
  const left = Math.floor(region.x0 / width);
  const top = Math.floor(region.y0 / height);
  const across = none ? 0 : Math.ceil(region.x1 / width) - left;
  const down = none ? 0 : Math.ceil(region.y1 / height) - top;
  budget.parts -= across * down;
  must(budget.parts >= 0);
  const blocks = Array.from({ length: across * down }, (_, index): CodeBlock => {
    const column = (left + (index % across)) * width;
    const row = (top + Math.floor(index / across)) * height;
    const x0 = Math.max(region.x0, column);
    const y0 = Math.max(region.y0, row);
    const x1 = Math.min(region.x1, column + width);
    const y1 = Math.min(region.y1, row + height);
    return {
      x0,
      y0,
      width: x1 - x0,
      height: y1 - y0,
      planes: 0,
      passes: 0,
      lengthBits: 3,
      bytes: 0,
      pieces: [],
    };
  });
  const inclusion = new TagTree(across, down);
  return { across, blocks, inclusion, zeroPlanes: new TagTree(across, down), planesMax };
}

/** B.12.1.3: a precinct begins where its multiple is, or where the tile does when that cuts it. */
function start(region: number, tile: number, exponent: number, multiple: number, level: number): number {
  const place = multiple * 2 ** exponent;
  return place < region ? tile : place * 2 ** level;
}
