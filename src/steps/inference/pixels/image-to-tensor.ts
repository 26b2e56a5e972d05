import type { PixelOp } from '../../../governance/manifest.ts';
import { applyPixels, pointsFirst } from './apply-pixels.ts';
import { modalityRange, modalityValuesInto } from './modality-values.ts';
import type { PixelImage } from './pixel-image.ts';
import { everyValue, isPointOp, lookUp, PointTables } from './point-table.ts';
import {
  type TensorArray,
  type TensorLayout,
  type TensorType,
  tensorArray,
  writeTensor,
} from './tensor-layout.ts';

/** What an image is to become. */
export interface TensorForm {
  readonly pixels: readonly PixelOp[];
  readonly dtype: TensorType;
  readonly layout: TensorLayout;
}

/** An image after its operations, and how its values get into their place in the tensor. */
export interface TensorImage {
  readonly image: Omit<PixelImage, 'data'>;
  write(target: TensorArray): void;
}

/**
 * Runs the operations. Where none looks at more than one pixel, the stored values are looked up straight into the tensor: one pass, and no
 * image in between. The stored values must stand until the tensor is written.
 */
export function imageToTensor(stored: PixelImage, form: TensorForm): TensorImage {
  const points = pointsFirst(stored, form.pixels);
  if (points === null || points.rest.length > 0) return oneByOne(stored, form);
  const { image } = points;
  const { dtype, layout } = form;
  const table = tables.get(stored, form.pixels, `${dtype} ${layout}`, () => {
    const every = everyValue(stored);
    const values = tensorArray(dtype, every.data.length);
    oneByOne(every, { ...form, pixels: form.pixels.filter(isPointOp) }).write(values);
    return values;
  });
  return { image, write: (target) => void lookUp({ cells: image.cells, table }, target) };
}

const tables = new PointTables<TensorArray>();

/** Hounsfield units at the end of the pipeline are computed into the volume itself: no copy in between. */
function oneByOne(stored: PixelImage, { pixels, dtype, layout }: TensorForm): TensorImage {
  const direct = dtype === 'int16' && pixels.at(-1)?.op === 'modality_values';
  const image = applyPixels(stored, direct ? pixels.slice(0, -1) : pixels);
  return {
    image: direct ? { ...image, range: modalityRange(image) } : image,
    write: (target) => {
      if (direct && target instanceof Int16Array) modalityValuesInto(image, target);
      else writeTensor(image, target, dtype, layout);
    },
  };
}
