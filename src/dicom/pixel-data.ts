/**
 * Where the pixels of a file are. Nothing is copied: offsets count from the start of `source`, which is the file, or the
 * inflated data set of a deflated one.
 */
export type PixelData = NativePixelData | EncapsulatedPixelData;

export interface NativePixelData {
  readonly kind: 'native';
  /** (7FE0,0010) PixelData, (7FE0,0008) FloatPixelData or (7FE0,0009) DoubleFloatPixelData. */
  readonly tag: number;
  readonly source: Buffer;
  readonly offset: number;
  /** As stated; `truncated` when fewer bytes are there. */
  readonly length: number;
  readonly truncated: boolean;
  readonly littleEndian: boolean;
  readonly vr: string;
}

export interface EncapsulatedPixelData {
  readonly kind: 'encapsulated';
  readonly tag: number;
  readonly source: Buffer;
  /** Basic offset table (PS3.5 A.4), from the first byte of the first fragment's item tag; empty when none is given. */
  readonly offsets: readonly number[];
  readonly fragments: readonly Fragment[];
  /** The file ended before the sequence delimiter. */
  readonly truncated: boolean;
}

export interface Fragment {
  /** Of the first data byte, after the item's tag and length. */
  readonly offset: number;
  readonly length: number;
}
