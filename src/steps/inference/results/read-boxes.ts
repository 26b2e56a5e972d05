import type { DetectionOutput } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { OutputTensor } from '../engines/engine.ts';

/** A candidate in pixels of the tensor, edge to edge: 0 is the outer edge of the first pixel. Slices of a single image: 0 to 1. */
export interface Box {
  /** Slice, row, column where it begins. */
  readonly from: readonly [number, number, number];
  readonly to: readonly [number, number, number];
  readonly score: number;
  /** Index of the label. */
  readonly label: number;
}

/** Rows that a detector may give; a one-stage detector on a volume gives some hundred thousand. */
export const CANDIDATES_MAX = 1_000_000;
/** Those that take part in non-maximum suppression, best first: it compares each with each. */
export const SUPPRESSED_MAX = 5000;
/** Boxes that are kept, best first. More than these no reader looks at. */
export const BOXES_MAX = 100;

/**
 * Decodes the boxes of a detector: its form and unit, scores, class numbers, the lowest score, non-maximum suppression. Best first.
 * `extent`: slices, rows, columns of the tensor. Boxes without area are dropped. Throws `inference.output-invalid` when the outputs do not
 * have the shapes that the manifest says, a number is not finite or a class has no label.
 */
export function readBoxes(
  output: DetectionOutput,
  results: Readonly<Record<string, OutputTensor>>,
  extent: readonly [number, number, number],
): Box[] {
  const table = tableOf(output, results);
  const boxes: Box[] = [];
  for (let row = 0; row < table.rows; row++) {
    for (const { label, score } of scoresOf(output, table, row)) {
      if (!(score >= output.score_min)) continue;
      const box = boxOf(output, table, row, extent);
      if (box && label >= 0) boxes.push({ ...box, score, label });
    }
  }
  boxes.sort((a, b) => b.score - a.score);
  if (output.nms === 'graph') return boxes.slice(0, BOXES_MAX);
  return suppress(boxes.slice(0, SUPPRESSED_MAX), output.nms).slice(0, BOXES_MAX);
}

interface Table {
  readonly rows: number;
  readonly width: number;
  at(row: number, column: number): number;
  readonly scores: Column;
  readonly classes: Column | null;
}

/** Numbers per candidate. */
interface Column {
  readonly width: number;
  at(row: number, index: number): number;
}

const SIDES = { xyxy: 4, xywh: 4, cxcywh: 4, xyzxyz: 6, cxcyczwhd: 6 } as const;

function tableOf(output: DetectionOutput, results: Readonly<Record<string, OutputTensor>>): Table {
  const tensor = results[output.name];
  const dims = tensor?.dims ?? [];
  const [first = 0, second = 0] = dims.slice(-2);
  const batch = dims.slice(0, -2).every((size) => size === 1);
  const isLast = output.candidates === 'last';
  const [rows, width] = isLast ? [second, first] : [first, second];
  if (!tensor || dims.length < 2 || !batch || (rows > 0 && width < SIDES[output.form]))
    throw invalid(output.name, `is not a table with ${SIDES[output.form]} numbers per box`);
  if (rows > CANDIDATES_MAX)
    throw invalid(output.name, `has ${rows} candidates; at most ${CANDIDATES_MAX} are read`);
  const { data } = tensor;
  const at = isLast
    ? (row: number, column: number) => data[column * rows + row]!
    : (row: number, column: number) => data[row * width + column]!;
  const columns = (where: NonNullable<DetectionOutput['classes']>, only: number | null): Column => {
    if ('output' in where) return columnsOf(where.output, results[where.output], rows);
    const count = only ?? Math.min(width - where.column, output.classes ? 1 : output.labels.length);
    if (rows > 0 && (count < 1 || where.column + count > width))
      throw invalid(output.name, `has no column ${where.column}`);
    return { width: count, at: (row, index) => at(row, where.column + index) };
  };
  const classes = output.classes ? columns(output.classes, 1) : null;
  return { rows, width, at, scores: columns(output.scores, null), classes };
}

function columnsOf(name: string, tensor: OutputTensor | undefined, rows: number): Column {
  if (
    !tensor ||
    (rows === 0 ? tensor.data.length > 0 : tensor.data.length % rows !== 0 || tensor.data.length === 0)
  )
    throw invalid(name, `has not a number for each of the ${rows} boxes`);
  const width = rows === 0 ? 1 : tensor.data.length / rows;
  return { width, at: (row, index) => tensor.data[row * width + index]! };
}

/** One label and score, or one of each where there is a score per label. */
function scoresOf(output: DetectionOutput, table: Table, row: number): { label: number; score: number }[] {
  const { scores, classes } = table;
  const activate = (value: number) => (output.activation === 'sigmoid' ? 1 / (1 + Math.exp(-value)) : value);
  const score = (index: number) => {
    const value = activate(scores.at(row, index));
    if (!(value >= -1e-3 && value <= 1 + 1e-3))
      throw invalid(output.name, 'has a score that is none from 0 to 1');
    return Math.min(1, Math.max(0, value));
  };
  if (classes) return [{ label: labelOf(output, classes.at(row, 0)), score: score(0) }];
  if (scores.width !== output.labels.length)
    throw invalid(
      output.name,
      `has ${scores.width} scores per box; the manifest names ${output.labels.length} labels`,
    );
  return output.labels.map((_, label) => ({
    label: labelOf(output, label + (output.first_class ?? 0)),
    score: score(label),
  }));
}

/** An empty label means nothing and is never reported: −1. */
function labelOf(output: DetectionOutput, number: number): number {
  const label = Math.round(number) - (output.first_class ?? 0);
  // Class 0 of a graph that counts from 1 is its background.
  if (label < 0 && Math.round(number) >= 0) return -1;
  if (output.labels[label] === undefined)
    throw invalid(output.name, 'has a class that the manifest has no label for');
  return output.labels[label] === '' ? -1 : label;
}

function boxOf(
  output: DetectionOutput,
  table: Table,
  row: number,
  extent: readonly [number, number, number],
) {
  const n = SIDES[output.form] / 2;
  const from: number[] = [];
  const to: number[] = [];
  for (let axis = 0; axis < n; axis++) {
    // Boxes count x, y, z; the tensor counts slices, rows, columns.
    const side = output.unit === 'share' ? extent[2 - axis]! : 1;
    const first = table.at(row, axis) * side;
    const second = table.at(row, n + axis) * side;
    if (!Number.isFinite(first) || !Number.isFinite(second))
      throw invalid(output.name, 'holds a value that is no finite number');
    const isCorners = output.form === 'xyxy' || output.form === 'xyzxyz';
    const start = output.form.startsWith('c') ? first - second / 2 : first;
    from.unshift(start);
    to.unshift(isCorners ? second : start + second);
  }
  if (n === 2) {
    from.unshift(0);
    to.unshift(1);
  }
  if (from.some((start, axis) => !(to[axis]! > start))) return null;
  return { from: from as [number, number, number], to: to as [number, number, number] };
}

/** Greedy: the best box stays, and takes away those that overlap it by more than `iou`. */
function suppress(
  boxes: readonly Box[],
  { iou, across_classes }: Exclude<DetectionOutput['nms'], 'graph'>,
): Box[] {
  const kept: Box[] = [];
  for (const box of boxes) {
    const covered = kept.some(
      (better) => (across_classes || better.label === box.label) && overlap(better, box) > iou,
    );
    if (!covered) kept.push(box);
  }
  return kept;
}

/** Intersection over union, of areas or volumes. */
function overlap(a: Box, b: Box): number {
  let both = 1;
  let [own, other] = [1, 1];
  for (let axis = 0; axis < 3; axis++) {
    both *= Math.max(0, Math.min(a.to[axis]!, b.to[axis]!) - Math.max(a.from[axis]!, b.from[axis]!));
    own *= a.to[axis]! - a.from[axis]!;
    other *= b.to[axis]! - b.from[axis]!;
  }
  return both / (own + other - both);
}

const invalid = (name: string, what: string): Failure =>
  new Failure('inference.output-invalid', `The output "${name}" ${what}.`);
