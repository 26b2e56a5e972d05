/**
 * Pieces of graph for work on a grid of cells: morphology with boxes (van Herk's separable erosion and dilation as
 * max-pooling) and geodesic reconstruction (Vincent 1993) by sweeps. A grid is a float tensor [1, 1, Z, Y, X]; a set of
 * cells is a grid of 0 and 1, so that "and" is Min or Mul, "or" is Max.
 */
import { Graph } from './onnx-model.ts';

/** Half widths of a box in cells, along Z, Y, X. */
export type Box = readonly [number, number, number];

/** Cells within `box` of the set. */
export function dilate(g: Graph, set: string, box: Box): string {
  let value = set;
  box.forEach((half, axis) => {
    if (half === 0) return;
    const kernel = [1, 1, 1];
    kernel[axis] = 2 * half + 1;
    const pads = [0, 0, 0, 0, 0, 0];
    pads[axis] = half;
    pads[axis + 3] = half;
    value = g.op('MaxPool', [value], { kernel_shape: kernel, pads, strides: [1, 1, 1] });
  });
  return value;
}

/** Cells whose whole `box` is in the set; beyond the edge of the grid counts as in. */
export function erode(g: Graph, set: string, box: Box): string {
  return not(g, dilate(g, not(g, set), box));
}

/** The set with all that no `box` fits into taken away. */
export function open(g: Graph, set: string, box: Box): string {
  return dilate(g, erode(g, set, box), box);
}

export function not(g: Graph, set: string): string {
  return g.op('Sub', [g.constant('float', [1]), set]);
}

export function and(g: Graph, ...sets: string[]): string {
  return g.op('Min', sets);
}

/** The set of cells for which `compare` ('Less' or 'Greater') holds against a number. */
export function where(g: Graph, grid: string, compare: 'Less' | 'Greater', limit: number): string {
  return toFloat(g, g.op(compare, [grid, g.constant('float', [limit])]));
}

export function toFloat(g: Graph, value: string): string {
  return g.op('Cast', [value], { to: 1 });
}

/** For each cell the number of cells of the set in the square of half width `half` around it, in the plane. */
export function countAround(g: Graph, set: string, half: number): string {
  const width = 2 * half + 1;
  const mean = (value: string, kernel: readonly number[], pads: readonly number[]) =>
    g.op('AveragePool', [value], { kernel_shape: kernel, pads, strides: [1, 1, 1], count_include_pad: 1 });
  const columns = mean(set, [1, width, 1], [0, half, 0, 0, half, 0]);
  const square = mean(columns, [1, 1, width], [0, 0, half, 0, 0, half]);
  return g.op('Mul', [square, g.constant('float', [width * width])]);
}

/** Cells from which a straight line in the plane meets the set in all four directions. */
export function enclosed(g: Graph, set: string): string {
  const sides: string[] = [];
  for (const axis of [3, 4]) {
    for (const reverse of [0, 1]) {
      const seen = g.op('CumSum', [set, g.constant('int64', [axis])], { reverse });
      sides.push(seen);
    }
  }
  return where(g, g.op('Min', sides), 'Greater', 0);
}

/**
 * All cells of `within` that are joined, face to face, to a cell of `seeds`: sweeps along Z, Y and X, both ways at once, until
 * a round adds nothing. Over edges and corners nothing passes: a wall one cell thick that climbs in steps would leak.
 */
export function reconstruct(g: Graph, seeds: string, within: string): string {
  const body = new Graph(g);
  body.bodyInput('int64', []);
  body.bodyInput('bool', []);
  const before = body.bodyInput('float', [1, 1, 'Z', 'Y', 'X']);
  let reached = before;
  for (const axis of [2, 3, 4]) reached = sweep(body, reached, within, axis);
  const grew = body.op('Greater', [sum(body, reached), sum(body, before)]);
  body.bodyOutput(grew, 'bool', []);
  body.bodyOutput(reached, 'float', [1, 1, 'Z', 'Y', 'X']);
  const start = and(g, seeds, within);
  const rounds = g.constant('int64', [ROUNDS_MAX]);
  return g.op('Loop', [rounds, g.constant('bool', [1]), start], { body });
}

/** A round goes straight on as far as it can, three times; what needs more turns than this is no lung and no windpipe. */
const ROUNDS_MAX = 16;

function sweep(g: Graph, reached: string, within: string, axis: number): string {
  const body = new Graph(g);
  const plane = [1, 1, 'P', 'Q'];
  const forward = body.bodyInput('float', plane);
  const backward = body.bodyInput('float', plane);
  const slices = Array.from({ length: 4 }, () => body.bodyInput('float', plane)) as [
    string,
    string,
    string,
    string,
  ];
  const ways: [string, string, string][] = [
    [forward, slices[0], slices[1]],
    [backward, slices[2], slices[3]],
  ];
  const next = ways.map(([behind, here, allowed]) => {
    return body.op('Min', [allowed, body.op('Max', [here, behind])]);
  });
  for (const value of [...next, ...next]) body.bodyOutput(value, 'float', plane);
  const first = g.op('Gather', [reached, g.constant('int64', [0])], { axis });
  const last = g.op('Gather', [reached, g.constant('int64', [-1])], { axis });
  const [, , down, up] = g.ops('Scan', [first, last, reached, within, reached, within], 4, {
    body,
    num_scan_inputs: 4,
    scan_input_axes: [axis, axis, axis, axis],
    scan_input_directions: [0, 0, 1, 1],
    scan_output_axes: [axis, axis],
    scan_output_directions: [0, 1],
  }) as [string, string, string, string];
  return g.op('Max', [down, up]);
}

function sum(g: Graph, set: string): string {
  return g.op('ReduceSum', [set], { keepdims: 0 });
}
