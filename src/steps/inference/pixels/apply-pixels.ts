import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import { type LookedImage, type Points, pointsOf } from './apply-points.ts';
import { centreCropSquare } from './centre-crop-square.ts';
import { channels } from './channels.ts';
import { clip } from './clip.ts';
import { crop } from './crop.ts';
import { invertIfMonochrome1 } from './invert-if-monochrome1.ts';
import { modalityValues } from './modality-values.ts';
import { normalise } from './normalise.ts';
import { pad } from './pad.ts';
import { padSquare } from './pad-square.ts';
import { percentileClip } from './percentile-clip.ts';
import type { PixelImage } from './pixel-image.ts';
import { lookUp } from './point-table.ts';
import { resampleSpacing } from './resample-spacing.ts';
import { resize, resizesLooked } from './resize.ts';
import { scale } from './scale.ts';
import { storedValues } from './stored-values.ts';
import { to8Bit } from './to-8bit.ts';
import { window } from './window.ts';
import { zScore } from './z-score.ts';

/** Runs a manifest's `pixels` over one image, in the order in which they are written. Pure: the input is not changed. */
export function applyPixels(image: PixelImage, ops: readonly PixelOp[]): PixelImage {
  const points = pointsFirst(image, ops);
  if (!points) return oneByOne(image, ops);
  const [next, ...rest] = points.rest;
  if (next?.op === 'resize' && resizesLooked(points.image, next))
    return oneByOne(resize(points.image, next), rest);
  return oneByOne(lookedUp(points.image), points.rest);
}

/** The operations with which a pipeline begins, as a table; null where none pays. */
export const pointsFirst = (image: PixelImage, ops: readonly PixelOp[]): Points | null =>
  pointsOf(image, ops, oneByOne);

const oneByOne = (image: PixelImage, ops: readonly PixelOp[]): PixelImage => ops.reduce(applyOp, image);

function lookedUp({ cells, table, ...image }: LookedImage): PixelImage {
  return { ...image, data: lookUp({ cells, table }) };
}

function applyOp(image: PixelImage, op: PixelOp): PixelImage {
  switch (op.op) {
    case 'stored_values':
      return storedValues(image);
    case 'modality_values':
      return modalityValues(image);
    case 'invert_if_monochrome1':
      return invertIfMonochrome1(image);
    case 'scale':
      return scale(image, op);
    case 'to_8bit':
      return to8Bit(image, op.from);
    case 'centre_crop_square':
      return centreCropSquare(image);
    case 'resize':
      return resize(image, op);
    case 'normalise':
      return normalise(image, op);
    case 'channels':
      return channels(image, op.count);
    case 'clip':
      return clip(image, op);
    case 'window':
      return window(image, op);
    case 'z_score':
      return zScore(image, op);
    case 'percentile_clip':
      return percentileClip(image, op);
    case 'crop':
      return crop(image, op);
    case 'pad':
      return pad(image, op);
    case 'pad_square':
      return padSquare(image, op);
    case 'resample_spacing':
      return resampleSpacing(image, op);
    case 'reorient':
      throw new Failure(
        'inference.pixels-invalid',
        'reorient turns a volume; one image has no depth to turn.',
      );
  }
}
