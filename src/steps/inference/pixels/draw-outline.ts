/** An RGB picture that lines are drawn into. */
export interface Canvas {
  readonly rows: number;
  readonly columns: number;
  readonly rgb: Uint8Array;
}

/** Lines of one pixel vanish where a page shows the picture at half its size. */
const LINE_PIXELS = 2;

/** A closed outline x, y, x, y …, edge to edge, in the picture's own pixels. What lies outside of the picture is left out. */
export function drawOutline(canvas: Canvas, points: readonly number[], colour: readonly number[]): void {
  for (let i = 0; i < points.length; i += 2) {
    const j = (i + 2) % points.length;
    drawLine(canvas, [points[i]!, points[i + 1]!], [points[j]!, points[j + 1]!], colour);
  }
}

/** A coordinate between two pixels belongs to both: the line covers one on each side. */
function drawLine(
  { rows, columns, rgb }: Canvas,
  [x0, y0]: readonly [number, number],
  [x1, y1]: readonly [number, number],
  colour: readonly number[],
): void {
  const steps = Math.min(STEPS_MAX, Math.max(1, Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)))));
  for (let step = 0; step <= steps; step++) {
    const left = Math.round(x0 + ((x1 - x0) * step) / steps) - 1;
    const top = Math.round(y0 + ((y1 - y0) * step) / steps) - 1;
    for (let y = Math.max(0, top); y < Math.min(rows, top + LINE_PIXELS); y++)
      for (let x = Math.max(0, left); x < Math.min(columns, left + LINE_PIXELS); x++)
        rgb.set(colour, (y * columns + x) * 3);
  }
}

/** No picture is larger; coordinates that are none must not hold a worker. */
const STEPS_MAX = 8192;
