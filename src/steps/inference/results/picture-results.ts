import type { DetectionOutput, ModelOutput, SegmentationOutput } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { SmallTensor } from '../../../kernel/handoffs.ts';
import { type EncodedMask, encodeMask } from '../encode-mask.ts';
import type { OutputTensor } from '../engines/engine.ts';
import { type Affine, compose, stretchAffine, volumeFactor } from '../pixels/affine.ts';
import { boxToSource, type Extent, gridToSource, type SourceBox } from './grid-to-source.ts';
import { labelPieces, type Piece } from './label-pieces.ts';
import { outlineMask } from './outline-mask.ts';
import { readBoxes } from './read-boxes.ts';
import { gridOf, readLabels } from './read-labels.ts';

/** Where the tensor came from, for the way back. */
export interface TensorPlace {
  /** Slices, rows, columns of the tensor; one slice for an image. */
  readonly extent: Extent;
  readonly isVolume: boolean;
  readonly toSource: Affine;
  /** Slices, rows, columns of the stored stack. */
  readonly source: Extent;
  /** mm³ of a stored voxel, or mm² of a stored pixel of an image; null when the files do not say. */
  readonly voxel: number | null;
}

/** A region in stored pixels; which instance and frame a slice is, the caller knows. */
export interface SourceRegion {
  readonly label: string;
  readonly slice: number;
  readonly box: readonly [number, number, number, number];
  readonly polygon: readonly number[] | null;
  readonly score: number | null;
  readonly size: number | null;
}

export interface PictureResult {
  readonly regions: readonly SourceRegion[];
  /** One number per label: the best score of its boxes, or the size of its region (mL, mm²); null for heat maps. */
  readonly numbers: SmallTensor | null;
  /** A segmentation on the stored images, for pictures: 0, or the label's number from 1. Where labels overlap the later one is told. */
  readonly mask: Uint8Array<ArrayBuffer> | null;
  /** The same as it is kept, where that was asked for: one for all labels, or one for each where they may overlap. */
  readonly kept?: readonly EncodedMask[];
}

/** Pieces of one output that are told apart, largest first; the rest counts for the size only. */
export const PIECES_MAX = 20;

/**
 * What an output that is a picture shows, in the coordinates of the stored images. null for outputs that are numbers, and for `mask`, which is
 * only drawn and kept. `keepMasks`: segmentations also as they are kept. Throws `inference.output-invalid`, and `inference.spacing-missing` where sizes count and the files have none.
 */
export function pictureResult(
  output: ModelOutput,
  results: Readonly<Record<string, OutputTensor>>,
  place: TensorPlace,
  keepMasks = false,
): PictureResult | null {
  if (output.kind === 'detection') return boxes(output, results, place);
  if (output.kind === 'segmentation') return segments(output, results[output.name], place, keepMasks);
  if (output.kind === 'heat_map') return heat(output, results[output.name], place);
  return null;
}

function boxes(
  output: DetectionOutput,
  results: Readonly<Record<string, OutputTensor>>,
  place: TensorPlace,
): PictureResult {
  const best = new Array<number>(output.labels.length).fill(0);
  const regions: SourceRegion[] = [];
  for (const box of readBoxes(output, results, place.extent)) {
    const found = boxToSource(box, place.toSource, place.source);
    const [left, top, right, bottom] = found.box;
    // A box wholly in the padding shows nothing.
    if (!(right > left && bottom > top)) continue;
    best[box.label] = Math.max(best[box.label]!, box.score);
    const { slice } = found;
    regions.push({
      slice,
      box: found.box,
      label: output.labels[box.label]!,
      polygon: null,
      score: box.score,
      size: null,
    });
  }
  return { regions, numbers: { dims: [best.length], data: best }, mask: null };
}

function segments(
  output: SegmentationOutput,
  tensor: OutputTensor | undefined,
  place: TensorPlace,
  keepMasks: boolean,
): PictureResult {
  const { dims, grids } = readLabels(output, tensor, place.isVolume);
  const toSource = compose(place.toSource, stretchAffine(dims, place.extent));
  const unit =
    place.voxel === null ? null : place.voxel * volumeFactor(toSource) * (place.isVolume ? 1e-3 : 1);
  if (output.size_min !== undefined && unit === null) throw spacingMissing();
  const sizes = new Array<number>(output.labels.length).fill(0);
  let mask: Uint8Array<ArrayBuffer> | null = null;
  const kept: EncodedMask[] = [];
  const regions: SourceRegion[] = [];
  for (const grid of grids) {
    const pieces = keptPieces(output, labelPieces(grid, dims), unit);
    for (const piece of pieces) sizes[piece.label - 1]! += piece.voxels;
    const onSource = gridToSource(paint(grid.length, pieces), dims, toSource, place.source);
    if (keepMasks) kept.push(encodeMask(onSource));
    if (mask === null) mask = onSource;
    else for (let i = 0; i < mask.length; i++) if (onSource[i]) mask[i] = onSource[i]!;
    regions.push(...regionsOf(output, pieces, unit, { dims, toSource, place }));
  }
  regions.sort((a, b) => (b.size ?? 0) - (a.size ?? 0));
  return {
    regions,
    numbers: unit === null ? null : { dims: [sizes.length], data: sizes.map((n) => n * unit) },
    mask,
    ...(keepMasks ? { kept } : {}),
  };
}

/** Largest of each label, and none that is too small. */
function keptPieces(output: SegmentationOutput, pieces: readonly Piece[], unit: number | null): Piece[] {
  const seen = new Set<number>();
  return pieces.filter((piece) => {
    if (output.keep === 'largest' && seen.has(piece.label)) return false;
    seen.add(piece.label);
    return piece.voxels * (unit ?? 0) >= (output.size_min ?? 0);
  });
}

function paint(length: number, pieces: readonly Piece[]): Uint8Array {
  const grid = new Uint8Array(length);
  for (const { runs, label } of pieces) for (const [first, run] of runs) grid.fill(label, first, first + run);
  return grid;
}

interface Way {
  readonly dims: Extent;
  readonly toSource: Affine;
  readonly place: TensorPlace;
}

/** The outline is that of the stored slice which shows most of the piece, and the box is that of the outline. */
function regionsOf(
  { labels }: Pick<SegmentationOutput, 'labels'>,
  pieces: readonly Piece[],
  unit: number | null,
  { dims, toSource, place }: Way,
): SourceRegion[] {
  const shown = pieces.slice(0, PIECES_MAX);
  const numbered = shown.map((piece, i) => ({ ...piece, label: i + 1 }));
  const onSource = gridToSource(paint(dims[0] * dims[1] * dims[2], numbered), dims, toSource, place.source);
  return shown.map((piece, i) => ({
    ...outlineOf(
      onSource,
      i + 1,
      boxToSource({ from: piece.from, to: ends(piece) }, toSource, place.source),
      place.source,
    ),
    label: labels[piece.label - 1]!,
    score: null,
    size: unit === null ? null : piece.voxels * unit,
  }));
}

const ends = ({ to }: Piece) => [to[0] + 1, to[1] + 1, to[2] + 1] as const;

/** A piece that lies between the stored pixels (a grid finer than they are) has no outline there; its box is then told as it is. */
function outlineOf(
  onSource: Uint8Array,
  id: number,
  rough: SourceBox,
  [, rows, columns]: Extent,
): Pick<SourceRegion, 'slice' | 'box' | 'polygon'> {
  const area = {
    left: Math.max(0, Math.floor(rough.box[0]) - 1),
    top: Math.max(0, Math.floor(rough.box[1]) - 1),
    right: Math.min(columns, Math.ceil(rough.box[2]) + 1),
    bottom: Math.min(rows, Math.ceil(rough.box[3]) + 1),
  };
  const isPiece = (slice: number) => (row: number, column: number) =>
    onSource[(slice * rows + row) * columns + column] === id;
  let [slice, most] = [rough.slice, 0];
  for (let each = rough.slices[0]; each <= rough.slices[1]; each++) {
    const inside = isPiece(each);
    let count = 0;
    for (let row = area.top; row < area.bottom; row++)
      for (let column = area.left; column < area.right; column++) if (inside(row, column)) count++;
    if (count > most) [slice, most] = [each, count];
  }
  const polygon = outlineMask({ ...area, inside: isPiece(slice) });
  return { slice, polygon, box: polygon ? boxOf(polygon) : rough.box };
}

function boxOf(polygon: readonly number[]): [number, number, number, number] {
  const xs = polygon.filter((_, i) => i % 2 === 0);
  const ys = polygon.filter((_, i) => i % 2 === 1);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** The piece round the peak that is at least `level` of it. A map without anything above 0 shows nothing. */
function heat(
  output: Extract<ModelOutput, { kind: 'heat_map' }>,
  tensor: OutputTensor | undefined,
  place: TensorPlace,
): PictureResult {
  const dims = gridOf(output, tensor, 1, place.isVolume);
  const { data } = tensor!;
  let peak = 0;
  for (let i = 1; i < data.length; i++) if (data[i]! > data[peak]!) peak = i;
  if (!data.every((value: number) => Number.isFinite(value)))
    throw new Failure(
      'inference.output-invalid',
      `The output "${output.name}" holds a value that is no finite number.`,
    );
  if (!(data[peak]! > 0)) return { regions: [], numbers: null, mask: null };
  const grid = Uint8Array.from(data, (value) => (value >= data[peak]! * output.level ? 1 : 0));
  const piece = labelPieces(grid, dims).find(({ runs }) =>
    runs.some(([first, length]) => peak >= first && peak < first + length),
  );
  if (!piece) return { regions: [], numbers: null, mask: null };
  const toSource = compose(place.toSource, stretchAffine(dims, place.extent));
  const regions = regionsOf({ labels: [output.label] }, [piece], null, { dims, toSource, place });
  return { regions, numbers: null, mask: null };
}

const spacingMissing = (): Failure =>
  new Failure(
    'inference.spacing-missing',
    'The model measures a region, and the files lack the distances of pixels or slices.',
  );
