import { type DecodeText, decoderOf } from './reading/character-sets.ts';
import { decodeNumbers, decodeStrings, type ElementSpan } from './reading/decode-values.ts';

/**
 * One element as found: where its value lies, or its items. Values are decoded when asked for, not before. `vr` is as stated, or from PS3.6 where
 * the file has implicit VRs or UN.
 */
export interface DicomElement extends ElementSpan {
  /** Of a sequence; null for every other VR. */
  readonly items: readonly DicomDataset[] | null;
}

/**
 * A data set or one item of a sequence. Tags are numbers: `dataset.string(0x00100020)`. Pixel data is not among the
 * elements. Accessors never throw for absent or odd values, only (`dicom.too-large`) for values beyond the limits.
 */
export class DicomDataset {
  readonly bytes: Buffer;
  readonly littleEndian: boolean;
  readonly parent: DicomDataset | null;
  private readonly elements = new Map<number, DicomElement>();
  private decode: DecodeText | null = null;

  constructor(bytes: Buffer, littleEndian: boolean, parent: DicomDataset | null) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.parent = parent;
  }

  /** For the reader only: a later element with the same tag replaces the earlier one. */
  add(element: DicomElement): void {
    this.elements.set(element.tag, element);
  }

  get(tag: number): DicomElement | undefined {
    return this.elements.get(tag);
  }

  has(tag: number): boolean {
    return this.elements.has(tag);
  }

  /** In the order of the file. */
  all(): Iterable<DicomElement> {
    return this.elements.values();
  }

  /** First value as text, without padding; null when absent or empty. */
  string(tag: number): string | null {
    return this.strings(tag)[0] || null;
  }

  /** All values as text, without padding; empty values are ''. */
  strings(tag: number): string[] {
    const element = this.elements.get(tag);
    return element === undefined ? [] : decodeStrings(this, element);
  }

  /** First value as a number; null when absent, empty or not a number. */
  number(tag: number): number | null {
    const value = this.numbers(tag)[0];
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  /** All values as numbers; NaN where a value is not a number. 64-bit integers beyond 2^53 lose precision. */
  numbers(tag: number): number[] {
    const element = this.elements.get(tag);
    return element === undefined ? [] : decodeNumbers(this, element);
  }

  /** Items of a sequence; none when absent. */
  items(tag: number): readonly DicomDataset[] {
    return this.elements.get(tag)?.items ?? [];
  }

  /** The value's bytes as they are in the file, not copied. */
  valueBytes(element: DicomElement): Buffer {
    return this.bytes.subarray(element.offset, element.offset + element.length);
  }

  /** Text in the character set that holds here: the item's own (0008,0005), else that of what encloses it. */
  text(bytes: Buffer): string {
    this.decode ??= this.decoder();
    return this.decode(bytes);
  }

  private decoder(): DecodeText {
    if (this.elements.has(SPECIFIC_CHARACTER_SET) || this.parent === null) {
      return decoderOf(this.strings(SPECIFIC_CHARACTER_SET));
    }
    const { parent } = this;
    return (bytes) => parent.text(bytes);
  }
}

const SPECIFIC_CHARACTER_SET = 0x00080005;
