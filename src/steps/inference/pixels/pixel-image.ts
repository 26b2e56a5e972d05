import type { LookupTable } from '../../../dicom/lookup-table.ts';

/**
 * One image on its way from stored values to a tensor: row-major, samples interleaved (`RGBRGB`). An operation never
 * writes into its input; it gives back a new image, or the same one when there is nothing to do.
 */
export interface PixelImage {
  readonly rows: number;
  readonly columns: number;
  readonly samples: 1 | 3;
  readonly data: PixelArray;
  /** The lowest and highest value that this representation can hold (not the image's own minimum and maximum). */
  readonly range: ValueRange;
  /**
   * Which part of the stored image this one shows, in stored pixels, edge to edge: with `rows` and `columns` the way back to the
   * source. It may begin before the image or end behind it (padding) and need not be whole.
   */
  readonly region: PixelRegion;
  readonly source: PixelSource;
}

export type PixelArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array;

export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

export interface PixelRegion {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

/** What the file says of its pixels (PS3.3 C.7.6.3, C.11.1). */
export interface PixelSource {
  /** Is the lowest value shown white? Photometric Interpretation MONOCHROME1. */
  readonly monochrome1: boolean;
  /** Rescale Slope (0028,1053); 1 when the file has none. */
  readonly slope: number;
  /** Rescale Intercept (0028,1052); 0 when the file has none. */
  readonly intercept: number;
  /** Modality LUT Sequence (0028,3000): stands in the place of slope and intercept. Null or left out when the file has none. */
  readonly modalityTable?: LookupTable | null;
  /** The file's first VOI window; null or left out when it has none. */
  readonly window?: VoiWindow | null;
  /** The first table of the file's VOI LUT Sequence (0028,3010); null or left out when it has none. */
  readonly voiTable?: LookupTable | null;
  /** Distance of rows, then of columns, in mm; null or left out when the file does not say. */
  readonly spacing?: readonly number[] | null;
}

/** A VOI window (PS3.3 C.11.2). */
export interface VoiWindow {
  readonly centre: number;
  readonly width: number;
  readonly shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';
}

export interface StoredPixels {
  readonly rows: number;
  readonly columns: number;
  readonly samples: 1 | 3;
  readonly data: PixelArray;
  readonly bitsStored: number;
  readonly signed: boolean;
  readonly source: PixelSource;
}

/** The start of every pipeline: the stored values with the range that Bits Stored and Pixel Representation allow. */
export function imageOfStoredPixels(stored: StoredPixels): PixelImage {
  const values = 2 ** stored.bitsStored;
  return {
    rows: stored.rows,
    columns: stored.columns,
    samples: stored.samples,
    data: stored.data,
    range: stored.signed ? { min: -values / 2, max: values / 2 - 1 } : { min: 0, max: values - 1 },
    region: { row: 0, column: 0, rows: stored.rows, columns: stored.columns },
    source: stored.source,
  };
}

/** The image's own minimum and maximum. An empty image cannot occur: rows and columns are at least 1. */
export function valueRangeOf(data: PixelArray): ValueRange {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** The region in stored pixels of a part of this image; the part is given in this image's own pixels and may lie outside. */
export function partOfRegion(
  image: Pick<PixelImage, 'rows' | 'columns' | 'region'>,
  part: PixelRegion,
): PixelRegion {
  const perRow = image.region.rows / image.rows;
  const perColumn = image.region.columns / image.columns;
  return {
    row: image.region.row + part.row * perRow,
    column: image.region.column + part.column * perColumn,
    rows: part.rows * perRow,
    columns: part.columns * perColumn,
  };
}
