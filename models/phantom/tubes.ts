/**
 * Tubes of the chest: vessels as a tree of capsules grown from each hilum, airways as capsules with a wall. A capsule is all
 * that lies within `radius` of the line from `from` to `to`. Millimetres; x to the patient's left, y to the back, z to the head.
 */
import type { Random } from './random.ts';

export type Point = readonly [number, number, number];

export interface Tube {
  readonly from: Point;
  readonly to: Point;
  readonly radius: number;
}

export interface Airway extends Tube {
  readonly wall: number;
}

/** Half of the branchings of a lung's vessels that are drawn: those that are wider than a millimetre. */
const GENERATIONS = 6;

/** Vessels of both lungs; they may leave the lung, the painter keeps to it. */
export function growVessels(random: Random, scale: number): Tube[] {
  const tubes: Tube[] = [];
  for (const side of [-1, 1]) {
    for (const aim of [70, 25, -20, -70]) {
      const hilum: Point = [side * 36 * scale, 16 * scale, 4 * scale];
      const towards: Point = [side * random.between(0.5, 0.9), random.between(-0.6, 0.6), aim / 60];
      grow(random, tubes, hilum, unit(towards), 4.2 * scale, 0, scale);
    }
  }
  return tubes;
}

function grow(
  random: Random,
  tubes: Tube[],
  from: Point,
  along: Point,
  radius: number,
  generation: number,
  scale: number,
): void {
  const length = scale * random.between(20, 30) * 0.88 ** generation;
  const to: Point = [from[0] + along[0] * length, from[1] + along[1] * length, from[2] + along[2] * length];
  tubes.push({ from, to, radius });
  if (generation >= GENERATIONS || radius < 1.1) return;
  for (let branch = 0; branch < 2; branch += 1) {
    const bend: Point = [
      along[0] + random.between(-0.8, 0.8),
      along[1] + random.between(-0.8, 0.8),
      along[2] + random.between(-0.8, 0.8),
    ];
    grow(random, tubes, to, unit(bend), radius * random.between(0.74, 0.84), generation + 1, scale);
  }
}

/** Windpipe, main bronchi and the first stretch of the lobar bronchi; lumen radius and wall as in adults. */
export function airways(scale: number): Airway[] {
  const at = (x: number, y: number, z: number): Point => [x * scale, y * scale, z * scale];
  const tube = (from: Point, to: Point, radius: number, wall: number) => ({
    from,
    to,
    radius: radius * scale,
    wall: wall * scale,
  });
  const carina = at(0, 22, 25);
  const paired = [-1, 1].flatMap((side) => {
    const hilum = at(side * 36, 24, 2);
    return [
      tube(carina, hilum, 6.5, 1.5),
      tube(hilum, at(side * 56, 14, 16), 3.5, 1.2),
      tube(hilum, at(side * 54, 34, -16), 3.5, 1.2),
    ];
  });
  return [tube(at(0, 8, 220), carina, 9.5, 1.8), ...paired];
}

function unit([x, y, z]: Point): Point {
  const length = Math.sqrt(x * x + y * y + z * z);
  return [x / length, y / length, z / length];
}

/** Pixel grid of a slice: millimetres of its first pixel's centre and the distances of pixels. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly x0: number;
  readonly y0: number;
  readonly columnMm: number;
  readonly rowMm: number;
}

/** Calls `paint` with each pixel of slice `z` that lies in the tube widened by `extra`. */
export function eachPixelOf(
  tube: Tube,
  extra: number,
  z: number,
  grid: Grid,
  paint: (index: number, distance: number) => void,
): void {
  const reach = tube.radius + extra;
  const span = part(tube, z, reach);
  if (span === undefined) return;
  const [x1, y1, x2, y2] = span;
  const firstColumn = Math.max(0, Math.ceil((Math.min(x1, x2) - reach - grid.x0) / grid.columnMm));
  const lastColumn = Math.min(
    grid.columns - 1,
    Math.floor((Math.max(x1, x2) + reach - grid.x0) / grid.columnMm),
  );
  const firstRow = Math.max(0, Math.ceil((Math.min(y1, y2) - reach - grid.y0) / grid.rowMm));
  const lastRow = Math.min(grid.rows - 1, Math.floor((Math.max(y1, y2) + reach - grid.y0) / grid.rowMm));
  for (let row = firstRow; row <= lastRow; row += 1) {
    for (let column = firstColumn; column <= lastColumn; column += 1) {
      const away = distance(tube, grid.x0 + column * grid.columnMm, grid.y0 + row * grid.rowMm, z);
      if (away <= reach) paint(row * grid.columns + column, away);
    }
  }
}

/** Ends, in the plane, of the part of the tube's line within `reach` of height `z`. */
function part(tube: Tube, z: number, reach: number): readonly [number, number, number, number] | undefined {
  const rise = tube.to[2] - tube.from[2];
  let start = 0;
  let end = 1;
  if (Math.abs(rise) < 1e-9) {
    if (Math.abs(tube.from[2] - z) > reach) return undefined;
  } else {
    const a = (z - reach - tube.from[2]) / rise;
    const b = (z + reach - tube.from[2]) / rise;
    start = Math.max(0, Math.min(a, b));
    end = Math.min(1, Math.max(a, b));
    if (start > end) return undefined;
  }
  const dx = tube.to[0] - tube.from[0];
  const dy = tube.to[1] - tube.from[1];
  return [
    tube.from[0] + dx * start,
    tube.from[1] + dy * start,
    tube.from[0] + dx * end,
    tube.from[1] + dy * end,
  ];
}

function distance(tube: Tube, x: number, y: number, z: number): number {
  const [ax, ay, az] = tube.from;
  const dx = tube.to[0] - ax;
  const dy = tube.to[1] - ay;
  const dz = tube.to[2] - az;
  const along = ((x - ax) * dx + (y - ay) * dy + (z - az) * dz) / (dx * dx + dy * dy + dz * dz);
  const t = Math.max(0, Math.min(1, along));
  const ex = x - ax - dx * t;
  const ey = y - ay - dy * t;
  const ez = z - az - dz * t;
  return Math.sqrt(ex * ex + ey * ey + ez * ez);
}
