/**
 * What a pixel worker does for inference: reads files one at a time, decodes, runs the manifest's pixel operations and writes each
 * image straight into its place in the tensor's shared memory. The main thread never touches a pixel. A worker holds one file and
 * one image at a time, whatever the size of the series.
 */
import { createHash } from 'node:crypto';
import type { Fits, PixelOp } from '../../governance/manifest.ts';
import { histogramRule } from '../../governance/pixel-rules.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';
import { imageToTensor } from './pixels/image-to-tensor.ts';
import { imageOfStoredPixels, type PixelImage } from './pixels/pixel-image.ts';
import { type Preview, previewOf } from './pixels/preview.ts';
import {
  type ImageShape,
  isVolume,
  TENSOR_VALUE_BYTES,
  type TensorArray,
  type TensorLayout,
  type TensorType,
  tensorSlice,
} from './pixels/tensor-layout.ts';
import type { SliceGeometry } from './pixels/volume-spacing.ts';
import {
  FileBuffer,
  openStoredFile,
  type ReadStoredPixels,
  readStoredPixels,
  type StoredFile,
} from './read-stored-pixels.ts';

export interface ReadSlicesArgs {
  /** Part 10 files, in the order in which they are stacked. */
  readonly paths: readonly string[];
  /** The frame of each, from 1; left out where every file has one. */
  readonly frames?: readonly number[];
  readonly pixels: readonly PixelOp[];
  readonly dtype: TensorType;
  readonly layout: TensorLayout;
  /** The tensor's memory and the index of the first file in it; null for the first file, which says how large a slice is. */
  readonly into: {
    readonly memory: SharedArrayBuffer;
    readonly first: number;
    readonly shape: ImageShape;
  } | null;
  /** The rules that look at stored values. */
  readonly fits: Pick<Fits, 'histogram'>;
  readonly preview: boolean;
  /** The pixels go to another server: what has text in it is refused. */
  readonly leaves?: boolean;
  /** A slice of more values is refused before its memory is taken. */
  readonly sliceValuesMax: number;
}

export interface ReadSlicesResult {
  readonly shape: ImageShape;
  /** Set when `into` was null: the one slice. */
  readonly memory: ArrayBuffer | null;
  readonly slices: readonly ReadSlice[];
  /** Set when `into` was null and the first file has several frames: their numbers in stacking order; the slice is the first. */
  readonly frames: readonly number[] | null;
  /** Of the first image: how its values are to be understood, and the stored image it was made of. */
  readonly image: Pick<PixelImage, 'range' | 'source' | 'region'>;
  readonly stored: { readonly rows: number; readonly columns: number };
  /** Of the first image that a rule about pixels says no to. */
  readonly verdict: GateVerdict | null;
  readonly preview: Preview | null;
}

export interface ReadSlice extends SliceGeometry {
  /** SHA-256 of the slice's bytes in the tensor, hexadecimal. */
  readonly digest: string;
}

/** Throws `inference.slices-differ`, `inference.series-too-large`, `inference.pixels-invalid` and what decoding throws. */
export async function readSlices(args: ReadSlicesArgs): Promise<ReadSlicesResult> {
  const buffer = idleBuffers.pop() ?? new FileBuffer();
  try {
    return await readInto(args, buffer);
  } finally {
    if (buffer.byteLength <= KEPT_BYTES_MAX) idleBuffers.push(buffer);
  }
}

/** Memory goes on from task to task. A thread does one task after the other; two at once would have one each. */
const idleBuffers: FileBuffer[] = [];
/** What an idle thread may hold: a radiograph of 16 million pixels and its file. That of larger ones goes back to the system. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

async function readInto(args: ReadSlicesArgs, buffer: FileBuffer): Promise<ReadSlicesResult> {
  const slices: ReadSlice[] = [];
  let shape = args.into?.shape ?? null;
  let made: Pick<ReadSlicesResult, 'image' | 'stored'> | null = null;
  let own: ArrayBuffer | null = null;
  let preview: Preview | null = null;
  let verdict: GateVerdict | null = null;
  const files = new FrameFiles(args, buffer);
  for (const at of args.paths.keys()) {
    const read = await files.read(at);
    const stored = imageOfStoredPixels(read.pixels);
    verdict ??= histogramRule(stored.data, args.fits);
    const { image, write } = imageToTensor(stored, args);
    made ??= { image: understanding(image), stored: { rows: stored.rows, columns: stored.columns } };
    shape ??= shapeOf(image, args.sliceValuesMax);
    if (!sameShape(shape, image)) throw slicesDiffer();
    const values = shape.rows * shape.columns * shape.samples;
    if (!args.into) own ??= new ArrayBuffer(values * TENSOR_VALUE_BYTES[args.dtype]);
    const target = tensorSlice(args.into?.memory ?? own!, args.dtype, values, (args.into?.first ?? 0) + at);
    write(target);
    if (args.preview) preview ??= previewOf(stored, read.window, image.region);
    slices.push({ ...geometryOf(read, image), digest: digestOf(target) });
  }
  if (!shape || !made) throw new Failure('inference.input-shape', 'There are no files to read.');
  return { shape, memory: own, slices, frames: files.order, ...made, verdict, preview };
}

/** The frames of a task in their order; a file with several is read and its header parsed once. */
class FrameFiles {
  order: readonly number[] | null = null;
  private open: { readonly path: string; readonly file: StoredFile } | null = null;

  private readonly args: ReadSlicesArgs;
  private readonly buffer: FileBuffer;

  constructor(args: ReadSlicesArgs, buffer: FileBuffer) {
    this.args = args;
    this.buffer = buffer;
  }

  async read(at: number): Promise<ReadStoredPixels> {
    const { paths, frames, into, layout, leaves } = this.args;
    const path = paths[at] ?? '';
    if (!frames && !(into === null && isVolume(layout))) return readStoredPixels(path, this.buffer, leaves);
    if (this.open?.path !== path) this.open = { path, file: openStoredFile(path, this.buffer, leaves) };
    const { file } = this.open;
    if (frames) return file.read(frames[at] ?? 1);
    if (file.frames > 1) this.order = file.stackingOrder();
    return file.read(this.order?.[0] ?? 1);
  }
}

type Shown = Omit<PixelImage, 'data'>;

const understanding = ({ range, source, region }: Shown): ReadSlicesResult['image'] => ({
  range,
  source,
  region,
});

function shapeOf({ rows, columns, samples }: Shown, valuesMax: number): ImageShape {
  if (rows * columns * samples <= valuesMax) return { rows, columns, samples };
  throw new Failure(
    'inference.series-too-large',
    `One image has ${rows * columns * samples} values; at most ${valuesMax} fit.`,
  );
}

const sameShape = (shape: ImageShape, image: Shown): boolean =>
  shape.rows === image.rows && shape.columns === image.columns && shape.samples === image.samples;

const slicesDiffer = (): Failure =>
  new Failure(
    'inference.slices-differ',
    'The slices of the series differ in rows, columns or samples: they make no volume.',
  );

function geometryOf(read: ReadStoredPixels, image: Shown): SliceGeometry {
  return { ...read.geometry, shrink: [image.region.rows / image.rows, image.region.columns / image.columns] };
}

function digestOf(target: TensorArray): string {
  return createHash('sha256')
    .update(new Uint8Array(target.buffer, target.byteOffset, target.byteLength))
    .digest('hex');
}
