import type { PixelOp } from '../../../governance/manifest.ts';
import { lookUpCells } from './look-up-program.ts';
import type { PixelArray, PixelImage } from './pixel-image.ts';

/**
 * What becomes of every value that a cell of 8 or 16 bits can hold: `table[cell]`, the cell taken as its bits. A run of operations that look at
 * one value at a time is then one pass over the pixels, and equal to them one by one, for the table is made by them.
 */
export interface Looked<T extends PixelArray = PixelArray> {
  readonly cells: Uint8Array | Uint16Array;
  readonly table: T;
}

/** Does an operation look at one value at a time, and know of the others no more than what the header says? */
export function isPointOp(op: PixelOp): boolean {
  switch (op.op) {
    case 'stored_values':
    case 'modality_values':
    case 'invert_if_monochrome1':
    case 'clip':
      return true;
    case 'scale':
    case 'to_8bit':
      return op.from !== 'minmax';
    case 'normalise':
      return op.mean.length === 1 && op.std.length === 1;
    case 'window':
      return op.voi !== 'file' || op.missing !== 'minmax';
    case 'channels':
      return op.count === 1;
    default:
      return false;
  }
}

/**
 * Does a table pay? A small image is done sooner than it is made; of more than one sample or 16 bits there are too many values. Files with look-up tables of
 * their own are few, and comparing those tables costs more than it saves.
 */
export function takesTable({ data, samples, source }: PixelImage): boolean {
  if (source.modalityTable || source.voiTable) return false;
  return samples === 1 && data.BYTES_PER_ELEMENT <= 2 && data.length >= PIXELS_MIN;
}

/** The bits of the cells. Nothing is copied. */
export function cellsOf({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: PixelArray): Looked['cells'] {
  return BYTES_PER_ELEMENT === 1
    ? new Uint8Array(buffer, byteOffset, length)
    : new Uint16Array(buffer, byteOffset, length);
}

/** Every value that cells like the image's can hold, as an image of one row, in the order of their bits. */
export function everyValue(image: PixelImage): PixelImage {
  const kind = image.data.constructor as new (buffer: ArrayBufferLike) => PixelArray;
  const ramp =
    image.data.BYTES_PER_ELEMENT === 1
      ? Uint8Array.from({ length: 256 }, (_, value) => value)
      : Uint16Array.from({ length: 65_536 }, (_, value) => value);
  return { ...image, rows: 1, columns: ramp.length, data: new kind(ramp.buffer) };
}

/** The values themselves, in memory of the table's kind or in `target`, which is of that kind and has one value per cell. */
export function lookUp<T extends PixelArray>({ cells, table }: Looked<T>, target?: T): T {
  const values = target ?? new (table.constructor as new (length: number) => T)(cells.length);
  lookUpCells(cells, table, values);
  return values;
}

/**
 * Tables are kept: a series has the same operations and rescale for a thousand slices. Which, besides the operations, decides what comes out is in
 * the key.
 */
export class PointTables<T> {
  private readonly kept = new Map<string, T>();

  get(image: PixelImage, ops: readonly PixelOp[], kind: string, make: () => T): T {
    const { data, range, source } = image;
    const { slope, intercept, monochrome1, window } = source;
    const key = JSON.stringify([
      ...[kind, data.constructor.name, range, slope, intercept, monochrome1, window ?? null],
      ops,
    ]);
    const known = this.kept.get(key);
    if (known) return known;
    const made = make();
    if (this.kept.size >= TABLES_MAX) this.kept.delete(this.kept.keys().next().value!);
    this.kept.set(key, made);
    return made;
  }
}

const PIXELS_MIN = 128 * 128;
/** Of a quarter of a megabyte each. Models of a site, and scanners with a rescale per slice (PET, some MR), of which none is met again. */
const TABLES_MAX = 8;
