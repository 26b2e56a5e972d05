import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { Manifest, ModelInput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';
import type { InputTensor } from './engines/engine.ts';
import type { Preview } from './pixels/preview.ts';
import {
  type ImageShape,
  isVolume,
  TENSOR_VALUE_BYTES,
  type TensorLayout,
  tensorDims,
} from './pixels/tensor-layout.ts';
import { volumeSpacing } from './pixels/volume-spacing.ts';
import type { ReadSlice, ReadSlicesArgs, ReadSlicesResult } from './read-tensor.task.ts';
import { TensorMemory } from './tensor-memory.ts';

export interface ModelTensors {
  readonly inputs: Readonly<Record<string, InputTensor>>;
  /** The image input again, for the picture. */
  readonly image: InputTensor;
  /** SHA-256, hexadecimal; see `digestOf`. */
  readonly digest: string;
  readonly preview: Preview | null;
  /** What a rule about pixels says against the study, or null. */
  readonly verdict: GateVerdict | null;
  /** To be called once when nobody reads the tensors any more, and never after a run that timed out: it still reads them. */
  release(): void;
}

export interface ReadTensorsOptions {
  /** Part 10 files in stacking order. */
  readonly paths: readonly string[];
  readonly manifest: Pick<Manifest, 'pixels' | 'inputs' | 'fits'>;
  /** Of one task, which reads a dozen files. */
  readonly timeLimitMs: number;
}

/** Files to input tensors, on the pixel workers. */
@Injectable()
export class TensorReader {
  private readonly memory = new TensorMemory();

  constructor(private readonly workers: PixelWorkers) {}

  /**
   * The first file tells the size of a slice; then the tensor's memory is taken once, and the workers write the rest of the series into
   * it in parallel. Throws `inference.*` and what reading and decoding throw.
   */
  async read({ paths, manifest, timeLimitMs }: ReadTensorsOptions): Promise<ModelTensors> {
    const input = imageInput(manifest.inputs);
    checkFiles(paths.length);
    const task = firstTask(paths, manifest, input);
    const read: Read = (args) =>
      this.workers.run(TASK_MODULE, 'readSlices', args, { timeoutMs: timeLimitMs });
    const first = await read(task);
    const dims = tensorDims(first.shape, paths.length, input.layout);
    const volume =
      paths.length === 1 ? null : this.memory.take(volumeBytes(first.shape, paths.length, input.dtype));
    const rest = volume ? await readRest(read, task, paths, first, volume) : [];
    const slices = [first, ...rest].flatMap((result) => result.slices);
    const image: InputTensor = { dtype: input.dtype, dims, bytes: volume ?? first.memory! };
    const inputs = Object.fromEntries(
      manifest.inputs.map((each) => [
        each.name,
        each.gives === 'image' ? image : spacingTensor(each, slices),
      ]),
    );
    return {
      inputs,
      image,
      digest: digestOf(inputs, image, slices),
      preview: first.preview,
      verdict: [first, ...rest].find((result) => result.verdict)?.verdict ?? null,
      release: () => {
        if (volume) this.memory.give(volume);
      },
    };
  }
}

/** Values in one tensor: 1,536 CT slices of 512 × 512, 0.8 GB as int16. A thin-slice chest CT has some 700. */
export const TENSOR_VALUES_MAX = 1536 * 512 * 512;
/** More files than the thinnest whole-body CT has; the values decide long before. */
export const FILES_MAX = 4096;
/** Files one worker reads per task: few enough that all workers end at about the same time. */
const FILES_PER_TASK = 12;

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
  if (files <= FILES_MAX) return;
  throw new Failure('inference.series-too-large', `A series of ${files} files is read up to ${FILES_MAX}.`);
}

function firstTask(
  paths: readonly string[],
  manifest: ReadTensorsOptions['manifest'],
  input: { dtype: ModelInput['dtype']; layout: TensorLayout },
): ReadSlicesArgs {
  const { histogram } = manifest.fits;
  return {
    paths: paths.slice(0, 1),
    pixels: manifest.pixels,
    dtype: input.dtype,
    layout: input.layout,
    into: null,
    fits: histogram ? { histogram } : {},
    preview: !isVolume(input.layout),
    sliceValuesMax: TENSOR_VALUES_MAX,
  };
}

type Read = (args: ReadSlicesArgs) => Promise<ReadSlicesResult>;

async function readRest(
  read: Read,
  task: ReadSlicesArgs,
  paths: readonly string[],
  first: ReadSlicesResult,
  memory: SharedArrayBuffer,
): Promise<ReadSlicesResult[]> {
  new Uint8Array(memory).set(new Uint8Array(first.memory!));
  const starts: number[] = [];
  for (let start = 1; start < paths.length; start += FILES_PER_TASK) starts.push(start);
  return Promise.all(
    starts.map((start) =>
      read({
        ...task,
        paths: paths.slice(start, start + FILES_PER_TASK),
        into: { memory, first: start, shape: first.shape },
      }),
    ),
  );
}

function volumeBytes(
  { rows, columns, samples }: ImageShape,
  slices: number,
  dtype: ModelInput['dtype'],
): number {
  const values = rows * columns * samples * slices;
  if (values <= TENSOR_VALUES_MAX) return values * TENSOR_VALUE_BYTES[dtype];
  throw new Failure(
    'inference.series-too-large',
    `The series has ${values} voxels; one analysis takes at most ${TENSOR_VALUES_MAX}. Choose a thicker reconstruction.`,
  );
}

function spacingTensor(input: ModelInput, slices: readonly ReadSlice[]): InputTensor {
  if (input.dtype !== 'float32')
    throw new Failure(
      'inference.pixels-invalid',
      `The input "${input.name}" gives distances: its dtype must be float32.`,
    );
  return { dtype: 'float32', dims: [3], bytes: Float32Array.from(volumeSpacing(slices)).buffer };
}

/**
 * One SHA-256 over every input in the manifest's order: name, type, dimensions, then the SHA-256 of each slice (image) or the bytes
 * (distances). Slices are hashed where they are made, so the digest does not depend on how the work was shared out.
 */
function digestOf(
  inputs: Readonly<Record<string, InputTensor>>,
  image: InputTensor,
  slices: readonly ReadSlice[],
): string {
  const hash = createHash('sha256');
  for (const [name, tensor] of Object.entries(inputs)) {
    hash.update(`${JSON.stringify([name, tensor.dtype, tensor.dims])}\n`);
    if (tensor === image) for (const slice of slices) hash.update(`${slice.digest}\n`);
    else hash.update(new Uint8Array(tensor.bytes));
  }
  return hash.digest('hex');
}
