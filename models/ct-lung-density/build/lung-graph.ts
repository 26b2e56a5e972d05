/**
 * The graph of `ct-lung-density`: no training, standard operators only. It works in three parts.
 *
 * 1. `toCells`: a Scan over the slices averages the volume into cells of 3 mm, so that every length below is in
 *    millimetres whatever the scanner's spacing, and only one slice at a time is held as floats.
 * 2. `findLung`: on the cells, what is lung? Large aerated regions with tissue on all four sides are the cores; the
 *    windpipe is a narrow, empty tube that runs along the body; the lung is all aerated cells joined to a core, without the
 *    windpipe and the main bronchi. Gas in stomach or bowel has no core, since its mean is that of air.
 * 3. `measure`: a second Scan puts the border back on the scanner's own grid by a threshold, counts, and draws the mask.
 */
import { and, countAround, dilate, enclosed, erode, not, open, reconstruct, toFloat, where } from './grid.ts';
import { Graph } from './onnx-model.ts';

/** Side of a cell. Below it the wall between windpipe and lung, 2 to 4 mm, is no longer seen; above it costs time. */
const CELL_MM = 3;
/** Air or tissue: halfway between parenchyma (about -860) and soft tissue (about 40) is -410; the side of caution is taken. */
const TISSUE_FROM_HU = -500;
/** Müller et al. 1988 for the method, Gevenois et al. 1995 and 1996 for the value. */
const EMPHYSEMA_BELOW_HU = -950;
/** Scanners write less for what lies outside the field of view. */
const HU_MIN = -1024;
/** Half width of a box that fits into lung and not into a windpipe: 27 mm wide. */
const CORE_HALF_CELLS = 4;
/** Mean over 15 mm of a core: below is gas (stomach, bowel, outside), above is not aerated lung. */
const CORE_MEAN_HU = { above: -968, below: -550 };
/** A cell wholly inside the windpipe. */
const AIRWAY_SEED_BELOW_HU = -940;
/** A cell wholly or mostly inside a main bronchus. */
const AIRWAY_BELOW_HU = -900;
/** Half width of a square that fits into no windpipe: 21 mm wide, it needs a circle of 30 mm. */
const TUBE_HALF_CELLS = 3;
/** A windpipe runs on along the body for at least (2 × this + 1) cells = 21 mm … */
const AIRWAY_RUN_HALF_CELLS = 3;
/** … and lies by itself: on a square ring this far around its middle, 24 mm, there is next to no other narrow air … */
const AIRWAY_RING_CELLS = 8;
/** … where the gullet may hold some, but a lung's thin border, which goes on, crosses the ring in more cells than this. */
const RING_AIR_CELLS_MAX = 3;

/** The whole graph; inputs and outputs are those of `manifest.yaml`. */
export function lungGraph(): Graph {
  const g = new Graph();
  const image = g.input({ name: 'image', type: 'int16', shape: ['slices', 'rows', 'columns'] });
  const spacing = g.input({ name: 'spacing_mm', type: 'float', shape: [3] });
  const extents = extentsOf(g, image, spacing);
  const cells = toCells(g, image, extents);
  const lung = findLung(g, cells);
  measure(g, image, spacing, near(g, cells, lung), extents);
  return g;
}

interface Extents {
  /** int64 [1] each: slices, rows, columns of the image. */
  readonly image: readonly [string, string, string];
  /** The same of the cells. */
  readonly cells: readonly [string, string, string];
}

function extentsOf(g: Graph, image: string, spacing: string): Extents {
  const shape = g.op('Shape', [image]);
  const axis = (value: string, index: number) => g.op('Gather', [value, g.constant('int64', [index], [1])]);
  const one = g.constant('int64', [1], [1]);
  const sizes = [0, 1, 2].map((index) => axis(shape, index)) as [string, string, string];
  const cells = sizes.map((size, index) => {
    const millimetres = g.op('Mul', [toFloat(g, size), axis(spacing, index)]);
    const count = g.op('Round', [g.op('Div', [millimetres, g.constant('float', [CELL_MM])])]);
    const whole = g.op('Cast', [count], { to: 7 });
    // In the plane two pixels are averaged before, so there are never more cells than half the pixels.
    const most = index === 0 ? size : g.op('Div', [size, g.constant('int64', [2], [1])]);
    return g.op('Max', [one, g.op('Min', [whole, most])]);
  }) as [string, string, string];
  return { image: sizes, cells };
}

/** Mean Hounsfield units per cell: float [1, 1, Z, Y, X]. */
function toCells(g: Graph, image: string, extents: Extents): string {
  const [, rows, columns] = extents.cells;
  const one = g.constant('int64', [1], [1]);
  const planeSize = g.op('Concat', [one, one, rows, columns], { axis: 0 });
  const body = new Graph(g);
  const slice = body.bodyInput('int16', ['rows', 'columns']);
  const hu = body.op('Max', [toFloat(body, slice), body.constant('float', [HU_MIN])]);
  const plane = body.op('Unsqueeze', [hu, body.constant('int64', [0, 1], [2])]);
  const pairs = body.op('AveragePool', [plane], { kernel_shape: [2, 2], strides: [2, 2] });
  const coarse = body.op('Resize', [pairs, '', '', planeSize], { mode: 'linear' });
  body.bodyOutput(body.op('Squeeze', [coarse, body.constant('int64', [0, 1], [2])]), 'float', ['Y', 'X']);
  const stack = g.op('Scan', [image], { body, num_scan_inputs: 1 });

  // Along the slices the same, as a picture of slices × all cells of a plane.
  const [slices] = extents.image;
  const [depth] = extents.cells;
  const perPlane = g.op('Mul', [rows, columns]);
  const flat = g.op('Reshape', [stack, g.op('Concat', [one, one, slices, perPlane], { axis: 0 })]);
  const flatSize = g.op('Concat', [one, one, depth, perPlane], { axis: 0 });
  const resized = g.op('Resize', [flat, '', '', flatSize], { mode: 'linear' });
  return g.op('Reshape', [resized, g.op('Concat', [one, one, depth, rows, columns], { axis: 0 })]);
}

/** The cells that are lung: 0 or 1. */
function findLung(g: Graph, cells: string): string {
  const air = where(g, cells, 'Less', TISSUE_FROM_HU);
  const tissue = not(g, air);
  const mean = g.op('AveragePool', [cells], {
    kernel_shape: [1, 5, 5],
    pads: [0, 2, 2, 0, 2, 2],
    strides: [1, 1, 1],
  });
  const core = and(
    g,
    erode(g, air, [0, CORE_HALF_CELLS, CORE_HALF_CELLS]),
    where(g, mean, 'Greater', CORE_MEAN_HU.above),
    where(g, mean, 'Less', CORE_MEAN_HU.below),
    // Sheets thinner than three cells (table, blanket, clothing) do not enclose a core.
    enclosed(g, open(g, tissue, [0, 1, 1])),
  );
  const broad = and(g, dilate(g, core, [0, CORE_HALF_CELLS, CORE_HALF_CELLS]), air);
  const inside = and(g, air, enclosed(g, tissue));
  const aerated = and(g, inside, not(g, findAirway(g, cells, broad, inside)));
  const firm = reconstruct(g, broad, open(g, aerated, [0, 1, 1]));
  return reconstruct(g, broad, and(g, aerated, not(g, findGas(g, air, mean, firm))));
}

/**
 * Gas that is not lung: as empty as air, and joined to lung at most by a gap narrower than three cells, as stomach and bowel
 * are across the diaphragm. A bulla is as empty, but opens into the lung over its whole face.
 */
function findGas(g: Graph, air: string, mean: string, firm: string): string {
  const apart = and(g, air, not(g, firm));
  const seeds = and(g, erode(g, air, [0, 2, 2]), where(g, mean, 'Less', CORE_MEAN_HU.above), apart);
  return and(g, dilate(g, seeds, [1, 4, 4]), apart);
}

/** Windpipe and main bronchi up to where they enter lung that is broader than they are. */
function findAirway(g: Graph, cells: string, broad: string, inside: string): string {
  const narrow = and(g, inside, not(g, open(g, inside, [0, TUBE_HALF_CELLS, TUBE_HALF_CELLS])));
  const apart = and(g, narrow, not(g, dilate(g, broad, [0, 1, 1])));
  const ring = g.op('Sub', [
    countAround(g, apart, AIRWAY_RING_CELLS),
    countAround(g, apart, AIRWAY_RING_CELLS - 1),
  ]);
  const alone = where(g, ring, 'Less', RING_AIR_CELLS_MAX + 0.5);
  const hollow = and(g, apart, alone, where(g, cells, 'Less', AIRWAY_SEED_BELOW_HU));
  const seeds = erode(g, hollow, [AIRWAY_RUN_HALF_CELLS, 0, 0]);
  const tube = reconstruct(g, seeds, and(g, narrow, where(g, cells, 'Less', AIRWAY_BELOW_HU)));
  return and(g, dilate(g, tube, [1, 1, 1]), narrow);
}

/** Cells that may hold lung voxels: lung and its neighbours, but not the neighbours of other air. */
function near(g: Graph, cells: string, lung: string): string {
  const otherAir = and(g, where(g, cells, 'Less', TISSUE_FROM_HU), not(g, lung));
  const border = and(g, dilate(g, lung, [1, 1, 1]), not(g, dilate(g, otherAir, [1, 1, 1])));
  return g.op('Max', [lung, border]);
}

/** Threshold, counts and mask on the scanner's own grid, one slice at a time, in whole numbers. */
function measure(g: Graph, image: string, spacing: string, allowed: string, extents: Extents): void {
  const planes = g.op('Cast', [g.op('Squeeze', [allowed, g.constant('int64', [0, 1], [2])])], { to: 9 });
  const stack = g.op('Gather', [planes, nearest(g, extents, 0)], { axis: 0 });
  const rowOf = nearest(g, extents, 1);
  const columnOf = nearest(g, extents, 2);
  const body = new Graph(g);
  const slice = body.bodyInput('int16', ['rows', 'columns']);
  const plane = body.bodyInput('bool', ['Y', 'X']);
  const wide = body.op('Gather', [plane, columnOf], { axis: 1 });
  const permitted = body.op('Gather', [wide, rowOf], { axis: 0 });
  const int = (value: string) => body.op('Cast', [value], { to: 6 });
  const limit = (value: number) => body.constant('int32', [value]);
  const hu = body.op('Max', [int(slice), limit(HU_MIN)]);
  const lung = body.op('And', [permitted, body.op('Less', [hu, limit(TISSUE_FROM_HU)])]);
  const low = body.op('And', [lung, body.op('Less', [hu, limit(EMPHYSEMA_BELOW_HU)])]);
  const lungNumber = int(lung);
  const lowNumber = int(low);
  const count = (value: string) => body.op('ReduceSum', [value], { keepdims: 0 });
  for (const value of [lungNumber, lowNumber, body.op('Mul', [hu, lungNumber])]) {
    body.bodyOutput(count(value), 'int32', []);
  }
  const mask = body.op('Cast', [body.op('Add', [lungNumber, lowNumber])], { to: 2 });
  body.bodyOutput(mask, 'uint8', ['rows', 'columns']);
  const [lungs, lows, hus, masks] = g.ops('Scan', [image, stack], 4, { body, num_scan_inputs: 2 }) as [
    string,
    string,
    string,
    string,
  ];
  summarise(g, spacing, lungs, lows, hus);
  g.output(masks, { name: 'lung_mask', type: 'uint8', shape: ['slices', 'rows', 'columns'] });
}

/** Three numbers from the counts per slice. Without any lung voxel all are 0, which the manifest's plausible ranges refuse. */
function summarise(g: Graph, spacing: string, lungs: string, lows: string, hus: string): void {
  const total = (value: string) => {
    const sum = g.op('ReduceSum', [g.op('Cast', [value], { to: 7 })], { keepdims: 0 });
    return g.op('Cast', [sum], { to: 11 });
  };
  const number = (value: number) => g.constant('double', [value]);
  const voxels = total(lungs);
  const atLeastOne = g.op('Max', [voxels, number(1)]);
  const cubicMillimetres = g.op('Cast', [g.op('ReduceProd', [spacing], { keepdims: 0 })], { to: 11 });
  const outputs = {
    lung_volume_ml: g.op('Div', [g.op('Mul', [voxels, cubicMillimetres]), number(1000)]),
    laa_950_percent: g.op('Div', [g.op('Mul', [total(lows), number(100)]), atLeastOne]),
    mean_lung_density_hu: g.op('Div', [total(hus), atLeastOne]),
  };
  for (const [name, value] of Object.entries(outputs)) {
    const vector = g.op('Reshape', [toFloat(g, value), g.constant('int64', [1], [1])]);
    g.output(vector, { name, type: 'float', shape: [1] });
  }
}

/** For each slice, row or column of the image the index of its cell: floor((i + 0.5) × cells / size). */
function nearest(g: Graph, extents: Extents, axis: 0 | 1 | 2): string {
  const scalar = (value: string) => g.op('Squeeze', [value]);
  const size = scalar(extents.image[axis]);
  const cells = scalar(extents.cells[axis]);
  const steps = g.op('Range', [g.constant('int64', [0]), size, g.constant('int64', [1])]);
  // (2i + 1) × cells / (2 × size) in whole numbers: no rounding to differ between machines.
  const odd = g.op('Add', [g.op('Add', [steps, steps]), g.constant('int64', [1])]);
  return g.op('Div', [g.op('Mul', [odd, cells]), g.op('Add', [size, size])]);
}
