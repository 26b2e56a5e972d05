import { type PixelImage, partOfRegion } from './pixel-image.ts';

/** Where a part of an image begins, in its own pixels (before it: negative), and how large it is. */
export interface CutOut {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * The part of an image; what lies outside of the image is `fill`. Crop and padding are both this. The type of the values stays, unless it
 * cannot hold `fill`: then they become Float32.
 */
export function cutOut(image: PixelImage, part: CutOut, fill: number): PixelImage {
  const { samples } = image;
  const inside =
    part.row >= 0 &&
    part.column >= 0 &&
    part.row + part.rows <= image.rows &&
    part.column + part.columns <= image.columns;
  const data = emptyLike(image.data, part.rows * part.columns * samples, inside ? 0 : fill);
  const from = Math.max(0, -part.column);
  const to = Math.min(part.columns, image.columns - part.column);
  for (let y = Math.max(0, -part.row); y < Math.min(part.rows, image.rows - part.row) && from < to; y++) {
    const line = (part.row + y) * image.columns + part.column;
    data.set(
      image.data.subarray((line + from) * samples, (line + to) * samples),
      (y * part.columns + from) * samples,
    );
  }
  const range = inside
    ? image.range
    : { min: Math.min(image.range.min, fill), max: Math.max(image.range.max, fill) };
  return { ...image, rows: part.rows, columns: part.columns, data, range, region: partOfRegion(image, part) };
}

function emptyLike(data: PixelImage['data'], length: number, fill: number): PixelImage['data'] {
  const same = new (data.constructor as new (length: number) => typeof data)(length).fill(fill);
  return length === 0 || same[0] === fill ? same : new Float32Array(length).fill(fill);
}
