import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import { cutOut } from './cut-out.ts';
import type { PixelImage } from './pixel-image.ts';

export type CropOp = Extract<PixelOp, { op: 'crop' }>;

/** Rows and columns of one image. A volume is cropped in `volume-window.ts`. Throws `inference.pixels-invalid` when the part is not all there. */
export function crop(image: PixelImage, op: CropOp): PixelImage {
  const [row = 0, column = 0] = op.at === 'centre' ? [] : op.at.slice(-2);
  return cutOut(
    image,
    {
      row: cropStart(image.rows, op.rows, op.at === 'centre' ? null : row, 'rows'),
      column: cropStart(image.columns, op.columns, op.at === 'centre' ? null : column, 'columns'),
      rows: op.rows,
      columns: op.columns,
    },
    0,
  );
}

/** Where `size` of `length` begin: at `start`, or in the middle, `floor(length / 2) − floor(size / 2)` as the field's libraries count. */
export function cropStart(length: number, size: number, start: number | null, axis: string): number {
  const first = start ?? Math.floor(length / 2) - Math.floor(size / 2);
  if (first >= 0 && first + size <= length) return first;
  throw new Failure(
    'inference.pixels-invalid',
    `crop: ${size} ${axis} from ${first < 0 ? 'the middle' : first} on are not in an image of ${length}; pad it before.`,
  );
}
