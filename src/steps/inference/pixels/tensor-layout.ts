import type { ModelInput } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { PixelArray, PixelImage } from './pixel-image.ts';
import { toFloat16 } from './to-float16.ts';

export type TensorLayout = NonNullable<ModelInput['layout']>;
export type TensorType = ModelInput['dtype'];
/** float16 is held as its bits. */
export type TensorArray = Float32Array | Int16Array | Uint8Array | Uint16Array;

export type ImageShape = Pick<PixelImage, 'rows' | 'columns' | 'samples'>;

export const TENSOR_VALUE_BYTES: Readonly<Record<TensorType, number>> = {
  float32: 4,
  float16: 2,
  int16: 2,
  uint8: 1,
};

/** Is this layout a stack of slices? The others take exactly one image. */
export const isVolume = (layout: TensorLayout): boolean => layout === 'DHW' || layout === 'NCDHW';

/** Dimensions of the tensor that `slices` images of this shape make. */
export function tensorDims(shape: ImageShape, slices: number, layout: TensorLayout): number[] {
  const { rows, columns, samples } = shape;
  if (isVolume(layout) ? samples !== 1 : slices !== 1) {
    const why = isVolume(layout) ? 'one sample per pixel; add {op: channels, count: 1}' : 'exactly one image';
    throw new Failure('inference.input-shape', `A tensor of layout ${layout} takes ${why}.`);
  }
  switch (layout) {
    case 'NCHW':
      return [1, samples, rows, columns];
    case 'NHWC':
      return [1, rows, columns, samples];
    case 'DHW':
      return [slices, rows, columns];
    case 'NCDHW':
      return [1, 1, slices, rows, columns];
  }
}

/** A view of the values of slice `index` in the tensor's memory. */
export function tensorSlice(
  memory: ArrayBuffer | SharedArrayBuffer,
  type: TensorType,
  values: number,
  index: number,
): TensorArray {
  const at = index * values * TENSOR_VALUE_BYTES[type];
  switch (type) {
    case 'float32':
      return new Float32Array(memory, at, values);
    case 'int16':
      return new Int16Array(memory, at, values);
    case 'uint8':
      return new Uint8Array(memory, at, values);
    case 'float16':
      return new Uint16Array(memory, at, values);
  }
}

/** Values of a type in memory of their own. */
export const tensorArray = (type: TensorType, values: number): TensorArray =>
  tensorSlice(new ArrayBuffer(values * TENSOR_VALUE_BYTES[type]), type, values, 0);

/**
 * Writes one image into its place. Whole-number types get the nearest value (halves up), held at their limits. NCHW wants the
 * samples apart, one plane each.
 */
export function writeTensor(
  image: PixelImage,
  target: TensorArray,
  type: TensorType,
  layout: TensorLayout,
): void {
  const source = layout === 'NCHW' && image.samples === 3 ? planes(image.data) : image.data;
  if (type === 'float32') target.set(source);
  else if (type === 'float16') for (let i = 0; i < source.length; i++) target[i] = toFloat16(source[i]!);
  else if (type === 'int16') writeWhole(source, target, -32768, 32767);
  else writeWhole(source, target, 0, 255);
}

function writeWhole(source: PixelArray, target: TensorArray, min: number, max: number): void {
  if (source.constructor === target.constructor) {
    target.set(source);
    return;
  }
  for (let i = 0; i < source.length; i++)
    target[i] = Math.max(min, Math.min(max, Math.floor(source[i]! + 0.5)));
}

function planes(data: PixelArray): PixelArray {
  const apart = new (data.constructor as new (length: number) => PixelArray)(data.length);
  const plane = data.length / 3;
  for (let i = 0, at = 0; i < plane; i++, at += 3) {
    apart[i] = data[at]!;
    apart[plane + i] = data[at + 1]!;
    apart[2 * plane + i] = data[at + 2]!;
  }
  return apart;
}
