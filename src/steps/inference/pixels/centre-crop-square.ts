import { type PixelImage, partOfRegion } from './pixel-image.ts';

/**
 * The largest square in the middle. The start is `floor(length / 2) − floor(side / 2)`, the rule of the libraries that chest
 * X-ray models are trained with: an odd remainder loses one pixel more at the lower or right end when the side is even.
 */
export function centreCropSquare(image: PixelImage): PixelImage {
  const side = Math.min(image.rows, image.columns);
  if (image.rows === image.columns) return image;
  const row = Math.floor(image.rows / 2) - Math.floor(side / 2);
  const column = Math.floor(image.columns / 2) - Math.floor(side / 2);
  const rowLength = side * image.samples;
  const data = new (image.data.constructor as new (length: number) => typeof image.data)(side * rowLength);
  for (let y = 0; y < side; y++) {
    const start = ((row + y) * image.columns + column) * image.samples;
    data.set(image.data.subarray(start, start + rowLength), y * rowLength);
  }
  return {
    ...image,
    rows: side,
    columns: side,
    data,
    region: partOfRegion(image, { row, column, rows: side, columns: side }),
  };
}
