import type { PixelOp } from '../../../governance/manifest.ts';
import { centreCropSquare } from './centre-crop-square.ts';
import { crop } from './crop.ts';
import type { PixelImage } from './pixel-image.ts';
import { cellsOf, everyValue, isPointOp, type Looked, PointTables, takesTable } from './point-table.ts';

/** An image whose values are still to be looked up. */
export type LookedImage = Omit<PixelImage, 'data'> & Looked;

/** The beginning of a pipeline as one table, and the operations after it. */
export interface Points {
  readonly image: LookedImage;
  readonly rest: readonly PixelOp[];
}

type Apply = (image: PixelImage, ops: readonly PixelOp[]) => PixelImage;

/**
 * The operations up to the first that looks at several pixels, as a table. Crops among them are done at once, on the smaller stored values:
 * they choose pixels and do not change them. null where a table does not pay. `apply` does operations one by one.
 */
export function pointsOf(image: PixelImage, ops: readonly PixelOp[], apply: Apply): Points | null {
  if (!takesTable(image)) return null;
  const points: PixelOp[] = [];
  let cut = image;
  let done = 0;
  for (const op of ops) {
    if (op.op === 'crop') cut = crop(cut, op);
    else if (op.op === 'centre_crop_square') cut = centreCropSquare(cut);
    else if (isPointOp(op)) points.push(op);
    else break;
    done += 1;
  }
  if (!points.some(({ op }) => op !== 'stored_values' && op !== 'channels')) return null;
  const { data, range, source } = tables.get(image, points, '', () => apply(everyValue(image), points));
  const { spacing } = image.source;
  return {
    image: { ...cut, range, source: { ...source, spacing }, cells: cellsOf(cut.data), table: data },
    rest: ops.slice(done),
  };
}

const tables = new PointTables<PixelImage>();
