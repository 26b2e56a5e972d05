/**
 * The one picture that goes with a preliminary result, drawn by a pixel worker. Dark as the image itself, thin coloured lines, no
 * text: nothing is burned in, so nothing about a person or a score can be.
 */
import { encodePng } from './encode-png.ts';
import type { OutputArray } from './engines/engine.ts';
import { drawOutline } from './pixels/draw-outline.ts';
import { type MaskSlice, maskSliceToPicture } from './pixels/mask-picture.ts';
import type { PixelRegion } from './pixels/pixel-image.ts';
import { PREVIEW_SIDE_MAX, type Preview } from './pixels/preview.ts';
import { resize } from './pixels/resize.ts';
import type { TensorType } from './pixels/tensor-layout.ts';
import { sliceOnSource } from './results/grid-to-source.ts';
import type { TensorPlace } from './results/picture-results.ts';

export type KeyPictureArgs =
  /** The image as people see it, with the part outlined that the model saw when it did not see all. */
  | { readonly kind: 'preview'; readonly preview: Preview; readonly outlines?: readonly Outline[] }
  /** The stored slice on which the outlines lie, out of the tensor of a volume. `mask`: labels on that slice. */
  | {
      readonly kind: 'slice';
      readonly image: { readonly dtype: TensorType; readonly bytes: ArrayBuffer | SharedArrayBuffer };
      readonly place: TensorPlace;
      readonly slice: number;
      readonly mask: Uint8Array | null;
      readonly outlines: readonly Outline[];
    }
  /** The slice with most of the mask. `image` and `mask` are both slices × rows × columns, row-major. */
  | {
      readonly kind: 'mask';
      readonly image: { readonly dtype: TensorType; readonly bytes: ArrayBuffer | SharedArrayBuffer };
      readonly mask: OutputArray;
      readonly dims: readonly [number, number, number];
    };

/** Closed, x, y, x, y … in stored pixels, edge to edge. */
export type Outline = readonly number[];

export interface KeyPicture {
  readonly png: Uint8Array<ArrayBuffer>;
  /** Index of the slice that is shown; 0 for a single image. */
  readonly slice: number;
}

/** Takes a tenth of a second for a CT of 120 slices. */
export function drawKeyPicture(args: KeyPictureArgs): KeyPicture {
  if (args.kind === 'preview') return { png: previewToPng(args.preview, args.outlines ?? []), slice: 0 };
  if (args.kind === 'slice') return { png: sliceToPng(args), slice: args.slice };
  const [slices, rows, columns] = args.dims;
  const size = rows * columns;
  const slice = fullestSlice(args.mask, slices, size);
  const view = viewOf(args.image.dtype, args.image.bytes, slice * size, size);
  const shown: MaskSlice = {
    rows,
    columns,
    image: view,
    mask: args.mask.subarray(slice * size, (slice + 1) * size),
  };
  const picture = maskSliceToPicture(smaller(shown));
  return { png: encodePng(picture.rows, picture.columns, picture.rgb, 3), slice };
}

/** Sky blue: light enough on a dark image, and told from orange by people who do not tell red from green. */
export const OUTLINE: Rgb = [90, 200, 255];

export type Rgb = readonly [number, number, number];

/** Lines of one pixel vanish where the page shows the picture at half its size. */
const OUTLINE_PIXELS = 2;

function previewToPng(preview: Preview, outlines: readonly Outline[]): Uint8Array<ArrayBuffer> {
  const { rows, columns, data, seen } = preview;
  if (!seen && outlines.length === 0) return encodePng(rows, columns, data, 1);
  const rgb = new Uint8Array(rows * columns * 3);
  for (let i = 0; i < data.length; i++) rgb.fill(data[i]!, i * 3, i * 3 + 3);
  if (seen) outline(rgb, columns, seen);
  for (const points of outlines)
    drawOutline(
      { rows, columns, rgb },
      points.map((value) => value / preview.shrink),
      FOUND,
    );
  return encodePng(rows, columns, rgb, 3);
}

/** Orange, for what was found; told from the blue of what was seen. */
export const FOUND: Rgb = [255, 130, 30];

function sliceToPng({ image, place, slice, mask, outlines }: Extract<KeyPictureArgs, { kind: 'slice' }>) {
  const [, rows, columns] = place.source;
  const valueAt = valuesOf(image.dtype, image.bytes);
  const values = sliceOnSource(valueAt, place.extent, place.toSource, place.source, slice);
  // What the model was not given is as dark as its darkest.
  let darkest = Number.POSITIVE_INFINITY;
  for (const value of values) if (value < darkest) darkest = value;
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i]!)) values[i] = darkest;
  const region = mask ?? new Uint8Array(values.length);
  const small = smaller({ rows, columns, image: values, mask: region.map((label) => (label > 0 ? 1 : 0)) });
  const picture = maskSliceToPicture(small);
  const scale = picture.columns / columns;
  for (const points of outlines)
    drawOutline(
      picture,
      points.map((value) => value * scale),
      FOUND,
    );
  return encodePng(picture.rows, picture.columns, picture.rgb, 3);
}

function valuesOf(type: TensorType, memory: ArrayBuffer | SharedArrayBuffer): (index: number) => number {
  const at = (values: ArrayLike<number>) => (index: number) => values[index]!;
  if (type === 'int16') return at(new Int16Array(memory));
  if (type === 'uint8') return at(new Uint8Array(memory));
  if (type === 'float32') return at(new Float32Array(memory));
  const bits = new Uint16Array(memory);
  return (index) => float16Order(bits[index]!);
}

function outline(rgb: Uint8Array, columns: number, seen: PixelRegion): void {
  const bottom = seen.row + seen.rows;
  const right = seen.column + seen.columns;
  for (let y = seen.row; y < bottom; y++) {
    for (let x = seen.column; x < right; x++) {
      const inside = Math.min(y - seen.row, bottom - 1 - y, x - seen.column, right - 1 - x);
      if (inside < OUTLINE_PIXELS) rgb.set(OUTLINE, (y * columns + x) * 3);
    }
  }
}

/** Every seventh voxel finds the same slice, and 3,000 slices in a moment; seven divides no usual width, so no column is left out. */
const COUNTED_STEP = 7;

/** The slice with most voxels above 0; the middle one when the mask is empty. */
function fullestSlice(mask: OutputArray, slices: number, size: number): number {
  let best = Math.floor(slices / 2);
  let most = 0;
  for (let slice = 0; slice < slices; slice++) {
    let voxels = 0;
    for (let i = slice * size; i < (slice + 1) * size; i += COUNTED_STEP) if (mask[i]! > 0) voxels++;
    if (voxels > most) {
      most = voxels;
      best = slice;
    }
  }
  return best;
}

function viewOf(
  type: TensorType,
  memory: ArrayBuffer | SharedArrayBuffer,
  first: number,
  length: number,
): Float32Array {
  if (type === 'int16') return Float32Array.from(new Int16Array(memory, first * 2, length));
  if (type === 'uint8') return Float32Array.from(new Uint8Array(memory, first, length));
  if (type === 'float32') return Float32Array.from(new Float32Array(memory, first * 4, length));
  return Float32Array.from(new Uint16Array(memory, first * 2, length), float16Order);
}

/** float16 volumes are drawn from their bits' order, which is that of the values for one sign; the sign is put right. */
const float16Order = (bits: number): number => (bits & 0x8000 ? -(bits & 0x7fff) : bits);

function smaller(slice: MaskSlice): MaskSlice {
  const factor = PREVIEW_SIDE_MAX / Math.max(slice.rows, slice.columns);
  if (factor >= 1) return slice;
  const rows = Math.max(1, Math.round(slice.rows * factor));
  const columns = Math.max(1, Math.round(slice.columns * factor));
  const shrink = (data: Float32Array, method: 'bilinear' | 'nearest') =>
    resize(
      {
        rows: slice.rows,
        columns: slice.columns,
        samples: 1,
        data,
        range: { min: 0, max: 0 },
        region: { row: 0, column: 0, rows: slice.rows, columns: slice.columns },
        source: { monochrome1: false, slope: 1, intercept: 0 },
      },
      { op: 'resize', rows, columns, method, antialias: true },
    ).data;
  return {
    rows,
    columns,
    image: Float32Array.from(shrink(slice.image, 'bilinear')),
    mask: shrink(Float32Array.from(slice.mask), 'nearest'),
  };
}
