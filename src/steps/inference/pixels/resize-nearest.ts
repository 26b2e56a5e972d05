import type { PixelImage } from './pixel-image.ts';

/** The stored pixel under the centre of each target pixel, as Pillow chooses it. */
export function resizeNearest(image: PixelImage, rows: number, columns: number): PixelImage['data'] {
  const { data, samples } = image;
  const fromRow = nearestPositions(image.rows, rows);
  const fromColumn = nearestPositions(image.columns, columns);
  const resized = new (data.constructor as new (length: number) => typeof data)(rows * columns * samples);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    const line = fromRow[y]! * image.columns;
    for (let x = 0; x < columns; x++) {
      const from = (line + fromColumn[x]!) * samples;
      for (let sample = 0; sample < samples; sample++) resized[at++] = data[from + sample]!;
    }
  }
  return resized;
}

/** The position is summed up step by step, not multiplied: the rounding of the sum decides ties, and so it is done there. */
function nearestPositions(from: number, to: number): Int32Array {
  const step = from / to;
  const positions = new Int32Array(to);
  let position = step * 0.5;
  for (let i = 0; i < to; i++, position += step) positions[i] = Math.min(from - 1, Math.trunc(position));
  return positions;
}
