import { Failure } from '../../kernel/errors.ts';
import { DicomDataset } from '../dicom-dataset.ts';
import type { PixelData } from '../pixel-data.ts';
import { isKnownVr, isLongVr, vrOfTag } from './data-dictionary.ts';
import { tagName } from './decode-values.ts';
import { SEQUENCE_DEPTH_MAX } from './limits.ts';
import { readPixelData, skipFragments } from './parse-pixel-data.ts';

/**
 * One pass over the bytes of a data set (PS3.5 7). It notes where each value lies and goes into sequences; it decodes no
 * value. Every length is checked against what encloses it before it is believed, so the pass is linear in the file and
 * ends at the first element that cannot be true. The pass ends with the pixel data: what may follow it is padding and
 * signatures.
 */
export interface Encoding {
  readonly explicitVr: boolean;
  readonly littleEndian: boolean;
}

export interface ParseOptions {
  readonly elementsMax: number;
  readonly stopBeforePixels: boolean;
  /** Stop before the first element that is not of this group: for the file meta information. */
  readonly onlyGroup?: number;
}

export interface ParsedElements {
  readonly dataset: DicomDataset;
  readonly pixelData: PixelData | null;
  /** Where the pass ended. */
  readonly end: number;
}

/** Reads elements from `start` to the end of `bytes`. Throws `dicom.malformed`, `dicom.truncated`, `dicom.too-large`. */
export function parseElements(
  bytes: Buffer,
  start: number,
  encoding: Encoding,
  options: ParseOptions,
): ParsedElements {
  return new ElementPass(bytes, start, options).run(encoding);
}

interface ElementHead {
  readonly tag: number;
  readonly vr: string;
  readonly length: number;
}

const ITEM = 0xfffee000;
const ITEM_DELIMITER = 0xfffee00d;
const SEQUENCE_DELIMITER = 0xfffee0dd;
const UNDEFINED_LENGTH = 0xffffffff;
const PIXEL_REPRESENTATION = 0x00280103;
const FLOAT_PIXELS = 0x7fe00008;
const DOUBLE_PIXELS = 0x7fe00009;
const PIXELS = 0x7fe00010;
const IMPLICIT: Encoding = { explicitVr: false, littleEndian: true };

class ElementPass {
  private readonly bytes: Buffer;
  private readonly options: ParseOptions;
  private position: number;
  private count = 0;
  private pixelData: PixelData | null = null;

  constructor(bytes: Buffer, start: number, options: ParseOptions) {
    this.bytes = bytes;
    this.position = start;
    this.options = options;
  }

  run(encoding: Encoding): ParsedElements {
    const dataset = new DicomDataset(this.bytes, encoding.littleEndian, null);
    const end = this.bytes.length;
    const { onlyGroup } = this.options;
    while (this.position < end && !this.isPadding(end)) {
      if (
        onlyGroup !== undefined &&
        (end - this.position < 8 || this.uint16(this.position, true) !== onlyGroup)
      )
        break;
      const head = this.readHead(end, encoding, dataset);
      if (head.tag === PIXELS || head.tag === FLOAT_PIXELS || head.tag === DOUBLE_PIXELS) {
        if (!this.options.stopBeforePixels) this.pixelData = this.pixelsAt(head, encoding);
        break;
      }
      this.position += headLength(head.vr, encoding);
      this.readElement(dataset, head, end, encoding, 0);
    }
    return { dataset, pixelData: this.pixelData, end: this.position };
  }

  /** Zeros up to the end, which some writers leave; tag (0000,0000) cannot stand in a stored data set. */
  private isPadding(end: number): boolean {
    if (this.bytes[this.position] !== 0 || this.bytes[this.position + 1] !== 0) return false;
    return this.bytes.subarray(this.position, Math.min(this.position + 8, end)).every((byte) => byte === 0);
  }

  private pixelsAt(head: ElementHead, encoding: Encoding): PixelData {
    const offset = this.position + headLength(head.vr, encoding);
    return readPixelData(this.bytes, { ...head, offset, littleEndian: encoding.littleEndian });
  }

  /** Reads tag, VR and length without moving on. */
  private readHead(end: number, encoding: Encoding, dataset: DicomDataset): ElementHead {
    const at = this.position;
    if (end - at < 8) throw this.cut(end);
    const tag = this.tagAt(at, encoding.littleEndian);
    if (tag >>> 16 === 0xfffe) return { tag, vr: '', length: this.uint32(at + 4, encoding.littleEndian) };
    if (!encoding.explicitVr) {
      return { tag, vr: this.vrByTag(tag, dataset), length: this.uint32(at + 4, encoding.littleEndian) };
    }
    const vr = this.bytes.toString('latin1', at + 4, at + 6);
    if (!isKnownVr(vr) && !isVrCode(vr)) {
      throw new Failure('dicom.malformed', `Element ${tagName(tag)} at byte ${at} has no valid VR.`);
    }
    if (!hasLongLength(vr)) return { tag, vr, length: this.uint16(at + 6, encoding.littleEndian) };
    if (end - at < 12) throw this.cut(end);
    return { tag, vr, length: this.uint32(at + 8, encoding.littleEndian) };
  }

  private readElement(
    dataset: DicomDataset,
    head: ElementHead,
    end: number,
    encoding: Encoding,
    depth: number,
  ): void {
    this.countOne();
    const { tag, length } = head;
    const offset = this.position;
    if (length === UNDEFINED_LENGTH) {
      this.readUndefined(dataset, head, end, encoding, depth);
      return;
    }
    if (length > end - offset) throw this.tooLong(tag, end);
    const vr = head.vr === 'UN' || !isKnownVr(head.vr) ? this.knownVr(tag, encoding, dataset) : head.vr;
    const items = vr === 'SQ' ? this.itemsWithin(dataset, head, offset + length, encoding, depth) : null;
    dataset.add({ tag, vr: items === null && vr === 'SQ' ? 'UN' : vr, offset, length, items });
    this.position = offset + length;
  }

  private readUndefined(
    dataset: DicomDataset,
    head: ElementHead,
    end: number,
    encoding: Encoding,
    depth: number,
  ): void {
    const { tag, vr } = head;
    const offset = this.position;
    if (vr === 'SQ' || vr === 'UN' || !encoding.explicitVr) {
      // UN of undefined length holds implicit VR little endian, whatever the file has (PS3.5 6.2.2 note 4).
      const items = this.readItems(dataset, end, true, vr === 'UN' ? IMPLICIT : encoding, depth + 1);
      dataset.add({ tag, vr: 'SQ', offset, length: this.position - offset, items });
    } else if (vr === 'OB' || vr === 'OW') {
      // The encapsulated pixels of an icon; nobody reads them.
      this.position = skipFragments(this.bytes, offset, end);
    } else {
      throw new Failure(
        'dicom.malformed',
        `Element ${tagName(tag)} has an undefined length, which its VR does not allow.`,
      );
    }
  }

  /** Items of a sequence of known length; null when an element stated as UN is not the sequence PS3.6 says it is. */
  private itemsWithin(
    dataset: DicomDataset,
    head: ElementHead,
    end: number,
    encoding: Encoding,
    depth: number,
  ): DicomDataset[] | null {
    if (head.vr === 'SQ') return this.readItems(dataset, end, false, encoding, depth + 1);
    try {
      return this.readItems(dataset, end, false, IMPLICIT, depth + 1);
    } catch (error) {
      if (error instanceof Failure && error.code !== 'dicom.too-large') return null;
      throw error;
    }
  }

  private readItems(
    parent: DicomDataset,
    end: number,
    delimited: boolean,
    encoding: Encoding,
    depth: number,
  ): DicomDataset[] {
    if (depth > SEQUENCE_DEPTH_MAX) {
      throw new Failure('dicom.too-large', `Sequences are nested deeper than ${SEQUENCE_DEPTH_MAX} levels.`);
    }
    const items: DicomDataset[] = [];
    while (this.position < end) {
      if (end - this.position < 8) throw this.cut(end);
      const tag = this.tagAt(this.position, encoding.littleEndian);
      const length = this.uint32(this.position + 4, encoding.littleEndian);
      this.position += 8;
      if (tag === SEQUENCE_DELIMITER) return items;
      if (tag !== ITEM)
        throw new Failure('dicom.malformed', `A sequence holds ${tagName(tag)} where an item must be.`);
      this.countOne();
      items.push(this.readItem(parent, length, end, encoding, depth));
    }
    if (delimited) throw this.cut(end);
    return items;
  }

  private readItem(
    parent: DicomDataset,
    length: number,
    end: number,
    encoding: Encoding,
    depth: number,
  ): DicomDataset {
    const delimited = length === UNDEFINED_LENGTH;
    if (!delimited && length > end - this.position) throw this.tooLong(ITEM, end);
    const itemEnd = delimited ? end : this.position + length;
    const itemEncoding = this.encodingOfItem(itemEnd, encoding);
    const item = new DicomDataset(this.bytes, itemEncoding.littleEndian, parent);
    while (this.position < itemEnd) {
      const head = this.readHead(itemEnd, itemEncoding, item);
      if (head.tag === ITEM_DELIMITER) {
        this.position = delimited ? this.position + 8 : itemEnd;
        return item;
      }
      if (head.tag >>> 16 === 0xfffe)
        throw new Failure('dicom.malformed', `${tagName(head.tag)} stands inside an item.`);
      this.position += headLength(head.vr, itemEncoding);
      this.readElement(item, head, itemEnd, itemEncoding, depth);
    }
    if (delimited) throw this.cut(end);
    return item;
  }

  /** Some scanners write the items of private sequences with implicit VRs into an explicit file. */
  private encodingOfItem(end: number, encoding: Encoding): Encoding {
    if (!encoding.explicitVr || end - this.position < 8) return encoding;
    if (this.tagAt(this.position, encoding.littleEndian) >>> 16 === 0xfffe) return encoding;
    return isVrCode(this.bytes.toString('latin1', this.position + 4, this.position + 6))
      ? encoding
      : { ...encoding, explicitVr: false };
  }

  private knownVr(tag: number, encoding: Encoding, dataset: DicomDataset): string {
    return encoding.littleEndian ? this.vrByTag(tag, dataset) : 'UN';
  }

  private vrByTag(tag: number, dataset: DicomDataset): string {
    const vr = vrOfTag(tag);
    if (vr !== 'xs') return vr;
    for (let at: DicomDataset | null = dataset; at !== null; at = at.parent) {
      if (at.has(PIXEL_REPRESENTATION)) return at.number(PIXEL_REPRESENTATION) === 1 ? 'SS' : 'US';
    }
    return 'US';
  }

  private countOne(): void {
    this.count += 1;
    if (this.count > this.options.elementsMax) {
      throw new Failure(
        'dicom.too-large',
        `The data set has more than ${this.options.elementsMax} elements and items.`,
      );
    }
  }

  private tooLong(tag: number, end: number): Failure {
    if (end === this.bytes.length)
      return new Failure('dicom.truncated', `The file ends inside ${tagName(tag)}.`);
    return new Failure('dicom.malformed', `${tagName(tag)} is longer than the item it stands in.`);
  }

  private cut(end: number): Failure {
    if (end === this.bytes.length)
      return new Failure('dicom.truncated', 'The file ends inside an element or a sequence.');
    return new Failure('dicom.malformed', `An item ends inside an element at byte ${this.position}.`);
  }

  private tagAt(at: number, littleEndian: boolean): number {
    return this.uint16(at, littleEndian) * 0x10000 + this.uint16(at + 2, littleEndian);
  }

  private uint16(at: number, littleEndian: boolean): number {
    return littleEndian ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  private uint32(at: number, littleEndian: boolean): number {
    return littleEndian ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }
}

/** Two capital letters: a VR, perhaps one that PS3.5 will define later; those have a 32-bit length (PS3.5 6.2). */
function isVrCode(vr: string): boolean {
  return /^[A-Z]{2}$/.test(vr);
}

function hasLongLength(vr: string): boolean {
  return isLongVr(vr) || !isKnownVr(vr);
}

function headLength(vr: string, encoding: Encoding): number {
  return vr !== '' && encoding.explicitVr && hasLongLength(vr) ? 12 : 8;
}
