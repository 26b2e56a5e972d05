/** Points of an outline: SCOORD takes as many as it likes, a record that people read does not. */
export const OUTLINE_POINTS_MAX = 400;

/** What is looked at: the part of a slice from (left, top), `inside` told by row and column of the slice. */
export interface OutlineArea {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
  inside(row: number, column: number): boolean;
}

/**
 * The outer border of the largest piece in an area, as a closed way along the edges of its pixels: x, y, x, y … with (0, 0) the outer corner
 * of the first pixel of the slice. Points on straight lines are left out; then, while there are too many, those that matter least
 * (Visvalingam and Whyatt 1993). null when nothing is inside.
 */
export function outlineMask(area: OutlineArea): number[] | null {
  let best: number[] | null = null;
  let most = 0;
  const seen = new Set<number>();
  const width = area.right - area.left + 1;
  for (let row = area.top; row < area.bottom; row++) {
    for (let column = area.left; column < area.right; column++) {
      if (!area.inside(row, column) || (row > area.top && area.inside(row - 1, column))) continue;
      if (seen.has((row - area.top) * width + column - area.left)) continue;
      const outline = walk(area, row, column, (r, c) => seen.add((r - area.top) * width + c - area.left));
      const size = signedArea(outline);
      if (size > most) {
        most = size;
        best = outline;
      }
    }
  }
  return best && simplify(best);
}

/** Right, down, left, up. */
const WAYS = [
  [0, 1],
  [1, 0],
  [0, -1],
  [-1, 0],
] as const;

/**
 * Round a piece with it on the right hand, from the upper edge of a pixel on. Where two pixels touch at a corner the way turns right, so that they
 * are two pieces, as face to face is counted. `top`: called for each pixel whose upper edge is walked.
 */
function walk(
  area: OutlineArea,
  row: number,
  column: number,
  top: (row: number, column: number) => void,
): number[] {
  const inside = (r: number, c: number) =>
    r >= area.top && r < area.bottom && c >= area.left && c < area.right && area.inside(r, c);
  const points: number[] = [];
  let [y, x, way] = [row, column, 0];
  do {
    if (way === 0) top(y, x);
    const [dy, dx] = WAYS[way]!;
    y += dy;
    x += dx;
    const next = turn(inside, y, x, way);
    if (next !== way) points.push(x, y);
    way = next;
  } while (y !== row || x !== column || way !== 0);
  return points;
}

/** At a corner: right where the pixel ahead on the right is outside, left where the one ahead on the left is inside, else straight on. */
function turn(inside: (row: number, column: number) => boolean, y: number, x: number, way: number): number {
  // The four pixels round the corner (y, x), by the way that looks at them: ahead right, ahead left.
  const right = [inside(y, x), inside(y, x - 1), inside(y - 1, x - 1), inside(y - 1, x)][way]!;
  const left = [inside(y - 1, x), inside(y, x), inside(y, x - 1), inside(y - 1, x - 1)][way]!;
  if (!right) return (way + 1) % 4;
  return left ? (way + 3) % 4 : way;
}

/** Positive for a way round with its inside on the right (y grows downwards), negative round a hole. */
function signedArea(points: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < points.length; i += 2) {
    const j = (i + 2) % points.length;
    sum += points[i]! * points[j + 1]! - points[j]! * points[i + 1]!;
  }
  return sum / 2;
}

function simplify(points: number[]): number[] {
  let kept = points;
  // Each round drops the tenth that changes the area least, never two neighbours.
  while (kept.length / 2 > OUTLINE_POINTS_MAX) {
    const count = kept.length / 2;
    const areas = Array.from({ length: count }, (_, i) => triangle(kept, i));
    const limit = [...areas].sort((a, b) => a - b)[Math.max(1, Math.floor(count / 10))]!;
    const dropped = new Set<number>();
    for (let i = 0; i < count && count - dropped.size > OUTLINE_POINTS_MAX; i++)
      if (areas[i]! <= limit && !dropped.has(i - 1)) dropped.add(i);
    kept = kept.filter((_, at) => !dropped.has(Math.floor(at / 2)));
  }
  return kept;
}

function triangle(points: readonly number[], i: number): number {
  const at = (k: number) => {
    const n = (((k * 2) % points.length) + points.length) % points.length;
    return [points[n]!, points[n + 1]!] as const;
  };
  const [[ax, ay], [bx, by], [cx, cy]] = [at(i - 1), at(i), at(i + 1)];
  return Math.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2;
}
