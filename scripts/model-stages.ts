import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, PixelOp } from '../src/governance/manifest.ts';
import { Failure } from '../src/kernel/errors.ts';
import { encodePng } from '../src/steps/inference/encode-png.ts';
import {
  type EngineResult,
  type InputTensor,
  type OutputTensor,
  valuesIn,
} from '../src/steps/inference/engines/engine.ts';
import { applyPixels } from '../src/steps/inference/pixels/apply-pixels.ts';
import { imageOfStoredPixels, type PixelImage } from '../src/steps/inference/pixels/pixel-image.ts';
import { readStoredPixels } from '../src/steps/inference/read-stored-pixels.ts';

/**
 * What each pixel operation makes of one image: of a volume, its middle slice. Prints shape, range, mean and time; with a folder, saves each as
 * PNG, stretched from its lowest to its highest value. Operations on whole volumes have no single image and are named as such.
 */
export async function pixelStages(
  { pixels }: Pick<Manifest, 'pixels'>,
  paths: readonly string[],
  pictures: string | undefined,
): Promise<void> {
  const middle = paths[paths.length >> 1];
  if (middle === undefined) return;
  if (paths.length > 1) console.log(`  stages of slice ${(paths.length >> 1) + 1} of ${paths.length}:`);
  let image = imageOfStoredPixels((await readStoredPixels(middle)).pixels);
  await show(0, 'decoded', image, 0, pictures);
  for (const [i, op] of pixels.entries()) {
    const start = performance.now();
    const next = applyOne(image, op);
    if (next === null) {
      console.log(`  ${i + 1} ${op.op}: on the whole volume`);
      continue;
    }
    image = next;
    await show(i + 1, op.op, image, performance.now() - start, pictures);
  }
}

/** null: it needs more than one image. */
function applyOne(image: PixelImage, op: PixelOp): PixelImage | null {
  try {
    return applyPixels(image, [op]);
  } catch (error) {
    if (error instanceof Failure && error.code === 'inference.pixels-invalid') return null;
    throw error;
  }
}

async function show(
  number: number,
  name: string,
  image: PixelImage,
  ms: number,
  pictures: string | undefined,
): Promise<void> {
  const { rows, columns, samples, data } = image;
  const shape = `${rows} × ${columns}${samples === 3 ? ' × 3' : ''}`;
  console.log(`  ${number} ${name.padEnd(22)} ${shape.padEnd(14)} ${rangeText(data)}  ${ms.toFixed(1)} ms`);
  if (!pictures) return;
  await mkdir(pictures, { recursive: true });
  const png = encodePng(rows, columns, stretched(data), samples);
  await writeFile(join(pictures, `${String(number).padStart(2, '0')}-${name}.png`), png);
}

export const inputLine = (name: string, { dtype, dims, bytes }: InputTensor): string => {
  const size = valuesIn(dims);
  const range =
    dtype === 'float16'
      ? ''
      : rangeText(
          dtype === 'float32'
            ? new Float32Array(bytes, 0, size)
            : dtype === 'int16'
              ? new Int16Array(bytes, 0, size)
              : new Uint8Array(bytes, 0, size),
        );
  return `  input ${name}: ${dtype} [${dims}] ${range}`;
};

/** Few numbers are printed themselves. */
const NUMBERS_SHOWN_MAX = 20;

export const outputLine = (name: string, { dims, data }: OutputTensor): string =>
  `  output ${name}: [${dims}] ${data.length <= NUMBERS_SHOWN_MAX ? Array.from(data, (value: number) => Number(value.toPrecision(6))).join(', ') : rangeText(data)}`;

/** Smaller outputs are numbers, not pictures. */
const PICTURE_SIDE_MIN = 8;

/** Outputs that are images or volumes: the last two axes are rows and columns, of those before them the middle is shown. */
export async function outputPictures({ outputs }: EngineResult, folder: string): Promise<void> {
  for (const [name, { dims, data }] of Object.entries(outputs)) {
    const [rows = 0, columns = 0] = dims.slice(-2);
    if (dims.length < 2 || Math.min(rows, columns) < PICTURE_SIDE_MIN) continue;
    const planes = data.length / (rows * columns);
    const at = (planes >> 1) * rows * columns;
    await mkdir(folder, { recursive: true });
    const plane = data.subarray(at, at + rows * columns);
    const file = `output-${name.replaceAll(/[^A-Za-z0-9_-]/g, '_')}.png`;
    await writeFile(join(folder, file), encodePng(rows, columns, stretched(plane), 1));
  }
}

function rangeOf(data: ArrayLike<number>): { min: number; max: number; mean: number } {
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (let i = 0; i < data.length; i++) {
    const value = data[i] ?? 0;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { min, max, mean: sum / data.length };
}

function rangeText(data: ArrayLike<number>): string {
  const { min, max, mean } = rangeOf(data);
  return `${Number(min.toPrecision(6))} to ${Number(max.toPrecision(6))}, mean ${Number(mean.toPrecision(6))}`;
}

function stretched(data: ArrayLike<number>): Uint8Array {
  const { min, max } = rangeOf(data);
  const scale = max > min ? 255 / (max - min) : 0;
  return Uint8Array.from(data, (value) => Math.round((value - min) * scale));
}
