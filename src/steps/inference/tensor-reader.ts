import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { Manifest, ModelInput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';
import type { InputTensor } from './engines/engine.ts';
import { splitPixels } from './pixels/apply-volume.ts';
import type { Preview } from './pixels/preview.ts';
import {
  type ImageShape,
  isVolume,
  TENSOR_VALUE_BYTES,
  type TensorLayout,
  tensorDims,
} from './pixels/tensor-layout.ts';
import { volumeSpacing } from './pixels/volume-spacing.ts';
import type { PreparedVolume } from './prepare-volume.task.ts';
import type { ReadSlicesArgs, ReadSlicesResult } from './read-tensor.task.ts';
import type { TensorPlace } from './results/picture-results.ts';
import { TensorMemory } from './tensor-memory.ts';
import { placeOf, VOLUME_MODULE, volumeArgs } from './tensor-place.ts';

export interface ModelTensors {
  readonly inputs: Readonly<Record<string, InputTensor>>;
  /** The image input again, for the picture. */
  readonly image: InputTensor;
  /** How its pixels lie in the stored images, for the way back. */
  readonly place: TensorPlace;
  /** Per stored slice: which of the files, and which frame of it, from 1. */
  readonly frames: readonly { readonly file: number; readonly frame: number }[];
  /** SHA-256, hexadecimal; see `digestOf`. */
  readonly digest: string;
  readonly preview: Preview | null;
  /** What a rule about pixels says against the study, or null. */
  readonly verdict: GateVerdict | null;
  /** To be called once when nobody reads the tensors any more, and never after a run that timed out: it still reads them. */
  release(): void;
}

export interface ReadTensorsOptions {
  /** Part 10 files in stacking order; some may still be on their way. */
  readonly paths: readonly (string | Promise<string>)[];
  readonly manifest: Pick<Manifest, 'pixels' | 'inputs' | 'fits'> & Partial<Pick<Manifest, 'running'>>;
  /** Of one task, which reads a dozen files. */
  readonly timeLimitMs: number;
}

/** Files to input tensors, on the pixel workers. */
@Injectable()
export class TensorReader {
  private readonly memory = new TensorMemory();

  constructor(private readonly workers: PixelWorkers) {}

  /**
   * The file that is there first tells the size of a slice; then the tensor's memory is taken once, and the workers write the rest of the
   * series into it in parallel, as the files arrive. Throws `inference.*` and what reading and decoding throw.
   */
  async read({ paths, manifest, timeLimitMs }: ReadTensorsOptions): Promise<ModelTensors> {
    const input = imageInput(manifest.inputs);
    checkFiles(paths.length);
    const { images: ops, volume: volumeOps } = splitPixels(manifest.pixels);
    const wholeVolume = volumeOps.length > 0 && isVolume(input.layout);
    // What is still worked on is kept as it is; its own type the tensor gets at the end.
    const dtype = wholeVolume ? 'float32' : input.dtype;
    const probed = await firstThere(paths);
    const task = firstTask(
      probed.path,
      { ...manifest, pixels: wholeVolume ? ops : manifest.pixels },
      { ...input, dtype },
    );
    const read: Read = (args) =>
      this.workers.run(TASK_MODULE, 'readSlices', args, { timeoutMs: timeLimitMs });
    const probe = await read(task);
    const sources = sourcesOf(paths, probe);
    const isShared = sources.length > 1 || wholeVolume;
    const volume = isShared ? this.memory.take(volumeBytes(probe.shape, sources.length, dtype)) : null;
    const results = volume ? await readRest(read, task, sources, { ...probed, probe }, volume) : [probe];
    const [first = probe] = results;
    const slices = results.flatMap((result) => result.slices);
    const stacked = { first, slices, layout: input.layout };
    const prepared = wholeVolume
      ? await this.workers
          .run<PreparedVolume>(
            VOLUME_MODULE,
            'prepareVolume',
            volumeArgs(stacked, volumeOps, volume!, input.dtype),
            { timeoutMs: timeLimitMs },
          )
          .finally(() => this.memory.give(volume!))
      : null;
    const dims = tensorDims(
      prepared ? { ...prepared, samples: 1 } : first.shape,
      prepared?.slices ?? sources.length,
      input.layout,
    );
    const image: InputTensor = {
      dtype: input.dtype,
      dims,
      bytes: prepared?.memory ?? volume ?? first.memory!,
    };
    const inputs = Object.fromEntries(
      manifest.inputs.map((each) => [
        each.name,
        each.gives === 'image' ? image : spacingTensor(each, prepared?.distances ?? volumeSpacing(slices)),
      ]),
    );
    return {
      inputs,
      image,
      place: placeOf(stacked, prepared),
      frames: sources.map(({ frame }, file) =>
        frame === undefined ? { file, frame: 1 } : { file: 0, frame },
      ),
      digest: digestOf(inputs, image, prepared ? [prepared] : slices),
      preview: first.preview,
      verdict: results.find((result) => result.verdict)?.verdict ?? null,
      release: () => {
        if (volume && !prepared) this.memory.give(volume);
      },
    };
  }
}

/** Values in one tensor: 3,072 CT slices of 512 × 512, 1.6 GB as int16. A thin-slice chest CT has some 700, a whole body 3,000. */
export const TENSOR_VALUES_MAX = 3072 * 512 * 512;
/** Memory of one tensor: 2,048 such slices as float32. The process must have room for it beside all else. */
export const TENSOR_BYTES_MAX = 2 * 2 ** 30;
/** More files than the thinnest whole-body CT has; the values decide long before. */
export const FILES_MAX = 4096;
/** Tasks that share a file of several frames. */
const TASKS_PER_FILE = 8;
/** Files one worker reads per task: few enough that all workers end at about the same time. */
const FILES_PER_TASK = 4;

/** `.ts` where the sources run as they are, `.js` in the build. */
const TASK_MODULE = new URL(
  `./read-tensor.task${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

function imageInput(inputs: readonly ModelInput[]): { dtype: ModelInput['dtype']; layout: TensorLayout } {
  const images = inputs.filter((input) => input.gives === 'image');
  const [image] = images;
  if (images.length !== 1 || !image?.layout) {
    throw new Failure(
      'inference.pixels-invalid',
      'The manifest must have one input that gives "image", with its layout.',
    );
  }
  return { dtype: image.dtype, layout: image.layout };
}

function checkFiles(files: number): void {
  if (files === 0) throw new Failure('inference.input-shape', 'There are no files to read.');
  if (files <= FILES_MAX) return;
  throw new Failure('inference.series-too-large', `A series of ${files} files is read up to ${FILES_MAX}.`);
}

/** The first of the files in their order, or the first to arrive when none is there yet. */
function firstThere(paths: ReadTensorsOptions['paths']): Promise<Probed> {
  return Promise.race(paths.map(async (path, at) => ({ path: await path, at })));
}

interface Probed {
  readonly path: string;
  readonly at: number;
}

function firstTask(
  path: string,
  manifest: ReadTensorsOptions['manifest'],
  input: { dtype: ModelInput['dtype']; layout: TensorLayout },
): ReadSlicesArgs {
  const { histogram } = manifest.fits;
  return {
    paths: [path],
    pixels: manifest.pixels,
    dtype: input.dtype,
    layout: input.layout,
    into: null,
    fits: histogram ? { histogram } : {},
    preview: !isVolume(input.layout),
    leaves: leavesDeidentified(manifest.running?.engine),
    sliceValuesMax: TENSOR_VALUES_MAX,
  };
}

/** Do the tensors go to another server, without being known to stay in the house? */
const leavesDeidentified = (engine: Manifest['running']['engine']): boolean =>
  engine !== undefined && engine.kind !== 'onnx' && engine.deidentify !== 'off';

type Read = (args: ReadSlicesArgs) => Promise<ReadSlicesResult>;

/** One slice of the tensor: a file, or a frame (from 1) of the one file there is. */
interface SliceSource {
  readonly path: string | Promise<string>;
  readonly frame?: number;
}

/** An enhanced object holds all slices in one file; several such files in a series are parts, phases or times of it. */
function sourcesOf(paths: ReadTensorsOptions['paths'], { frames }: ReadSlicesResult): SliceSource[] {
  const [path = ''] = paths;
  if (!frames) return paths.map((each) => ({ path: each }));
  if (paths.length === 1) return frames.map((frame) => ({ path, frame }));
  throw new Failure(
    'inference.pixels-invalid',
    'The series has several objects of several frames; one volume is read from one of them.',
  );
}

/** The results in stacking order, that of the file read already among them. */
async function readRest(
  read: Read,
  task: ReadSlicesArgs,
  sources: readonly SliceSource[],
  { probe, at }: Probed & { readonly probe: ReadSlicesResult },
  memory: SharedArrayBuffer,
): Promise<ReadSlicesResult[]> {
  new Uint8Array(memory).set(new Uint8Array(probe.memory!), at * probe.memory!.byteLength);
  // Each task opens the file of its frames anew, so those tasks are few.
  const inOne = sources[0]?.frame !== undefined;
  const step = inOne ? Math.max(FILES_PER_TASK, Math.ceil(sources.length / TASKS_PER_FILE)) : FILES_PER_TASK;
  const readPart = async (start: number, end: number) => {
    const part = sources.slice(start, end);
    return read({
      ...task,
      paths: await Promise.all(part.map(({ path }) => path)),
      ...(inOne ? { frames: part.map(({ frame }) => frame ?? 1) } : {}),
      into: { memory, first: start, shape: probe.shape },
    });
  };
  const parts = (from: number, to: number) =>
    Array.from({ length: Math.ceil((to - from) / step) }, (_, index) => {
      const start = from + index * step;
      return readPart(start, Math.min(start + step, to));
    });
  return Promise.all([...parts(0, at), probe, ...parts(at + 1, sources.length)]);
}

function volumeBytes(
  { rows, columns, samples }: ImageShape,
  slices: number,
  dtype: ModelInput['dtype'],
): number {
  const values = rows * columns * samples * slices;
  const bytes = values * TENSOR_VALUE_BYTES[dtype];
  if (values <= TENSOR_VALUES_MAX && bytes <= TENSOR_BYTES_MAX) return bytes;
  throw new Failure(
    'inference.series-too-large',
    `The series has ${values} voxels; one analysis takes at most ${TENSOR_VALUES_MAX} in ${TENSOR_BYTES_MAX} bytes. Choose a thicker reconstruction.`,
  );
}

function spacingTensor(input: ModelInput, distances: readonly number[]): InputTensor {
  if (input.dtype !== 'float32')
    throw new Failure(
      'inference.pixels-invalid',
      `The input "${input.name}" gives distances: its dtype must be float32.`,
    );
  return { dtype: 'float32', dims: [3], bytes: Float32Array.from(distances).buffer };
}

/**
 * One SHA-256 over every input in the manifest's order: name, type, dimensions, then the SHA-256 of each slice (image) or the bytes
 * (distances). Slices are hashed where they are made, so the digest does not depend on how the work was shared out.
 */
function digestOf(
  inputs: Readonly<Record<string, InputTensor>>,
  image: InputTensor,
  slices: readonly { readonly digest: string }[],
): string {
  const hash = createHash('sha256');
  for (const [name, tensor] of Object.entries(inputs)) {
    hash.update(`${JSON.stringify([name, tensor.dtype, tensor.dims])}\n`);
    if (tensor === image) for (const slice of slices) hash.update(`${slice.digest}\n`);
    else hash.update(new Uint8Array(tensor.bytes));
  }
  return hash.digest('hex');
}
