import type { PixelOp } from '../../../governance/manifest.ts';
import { pad } from './pad.ts';
import type { PixelImage } from './pixel-image.ts';

/** The shorter side filled on both ends, the odd pixel at the end, until rows and columns are the same. */
export function padSquare(image: PixelImage, op: Extract<PixelOp, { op: 'pad_square' }>): PixelImage {
  const side = Math.max(image.rows, image.columns);
  return pad(image, { op: 'pad', rows: side, columns: side, where: 'both', value: op.value });
}
