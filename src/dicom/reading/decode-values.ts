import { Failure } from '../../kernel/errors.ts';
import { isPlain } from './character-sets.ts';
import { STRING_BYTES_MAX, TEXT_ELEMENT_BYTES_MAX } from './limits.ts';

/** Where an element's value lies. */
export interface ElementSpan {
  readonly tag: number;
  readonly vr: string;
  readonly offset: number;
  readonly length: number;
}

/** What a value is read from: the file's bytes, their order, and the character set that holds there. */
export interface ValueSource {
  readonly bytes: Buffer;
  readonly littleEndian: boolean;
  text(bytes: Buffer): string;
}

/** Text values without padding (PS3.5 6.2). Binary numbers come as decimal text, tags as eight hexadecimal digits. */
export function decodeStrings(dataset: ValueSource, element: ElementSpan): string[] {
  if (element.vr === 'AT') return tagValues(dataset, element);
  if (element.vr in NUMBER_BYTES) return decodeNumbers(dataset, element).map(String);
  if (!TEXT_VRS.has(element.vr) || element.length === 0) return [];
  return textValues(dataset, element);
}

/** Numbers of binary VRs and of IS and DS. */
export function decodeNumbers(dataset: ValueSource, element: ElementSpan): number[] {
  const size = NUMBER_BYTES[element.vr];
  if (size !== undefined) return binaryNumbers(dataset, element, size);
  if (!TEXT_VRS.has(element.vr) || element.length === 0) return [];
  return textValues(dataset, element).map((text) => (text === '' ? Number.NaN : Number(text)));
}

/** Values of SV and UV, exactly. */
export function decodeBigIntegers(dataset: ValueSource, element: ElementSpan): bigint[] {
  const values: bigint[] = [];
  for (let at = element.offset; at + 8 <= element.offset + element.length; at += 8) {
    const low = dataset.littleEndian ? dataset.bytes.readBigUInt64LE(at) : dataset.bytes.readBigUInt64BE(at);
    values.push(element.vr === 'SV' ? BigInt.asIntN(64, low) : low);
  }
  return values;
}

/** Tells the printable form of a tag for messages: `(0028,0010)`. */
export function tagName(tag: number): string {
  const hex = tagKey(tag);
  return `(${hex.slice(0, 4)},${hex.slice(4)})`;
}

/** The form of the DICOM JSON model: `00280010`. */
export function tagKey(tag: number): string {
  return tag.toString(16).toUpperCase().padStart(8, '0');
}

/** Number VRs and the bytes of one value. */
const NUMBER_BYTES: Readonly<Record<string, number>> = {
  US: 2,
  SS: 2,
  UL: 4,
  SL: 4,
  FL: 4,
  FD: 8,
  SV: 8,
  UV: 8,
};

const TEXT_VRS = new Set([
  ...['AE', 'AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'LO', 'LT', 'PN'],
  ...['SH', 'ST', 'TM', 'UC', 'UI', 'UR', 'UT'],
]);
/** One value each: a backslash is part of the text. */
const SINGLE_VALUED = new Set(['LT', 'ST', 'UT', 'UR']);
/** VRs that (0008,0005) applies to. */
const CHARSET_VRS = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

function textValues(dataset: ValueSource, element: ElementSpan): string[] {
  const single = SINGLE_VALUED.has(element.vr);
  if (element.length > (single ? STRING_BYTES_MAX : TEXT_ELEMENT_BYTES_MAX)) throw tooLong(element);
  const { bytes } = dataset;
  const end = element.offset + element.length;
  const needsDecoder = CHARSET_VRS.has(element.vr) && !isPlain(bytes, element.offset, end);
  const text = needsDecoder
    ? dataset.text(bytes.subarray(element.offset, end))
    : bytes.toString('latin1', element.offset, end);
  if (single) return [trimEnd(text)];
  const values = text.split('\\');
  for (const value of values) if (value.length > STRING_BYTES_MAX) throw tooLong(element);
  return values.map((value) => trimStart(trimEnd(value)));
}

function binaryNumbers(dataset: ValueSource, element: ElementSpan, size: number): number[] {
  if (element.vr === 'SV' || element.vr === 'UV') return decodeBigIntegers(dataset, element).map(Number);
  const { bytes, littleEndian } = dataset;
  const view = new DataView(bytes.buffer, bytes.byteOffset + element.offset, element.length);
  const values: number[] = [];
  for (let at = 0; at + size <= element.length; at += size)
    values.push(readNumber(view, at, element.vr, littleEndian));
  return values;
}

function readNumber(view: DataView, at: number, vr: string, littleEndian: boolean): number {
  switch (vr) {
    case 'US':
      return view.getUint16(at, littleEndian);
    case 'SS':
      return view.getInt16(at, littleEndian);
    case 'UL':
      return view.getUint32(at, littleEndian);
    case 'SL':
      return view.getInt32(at, littleEndian);
    case 'FL':
      return view.getFloat32(at, littleEndian);
    default:
      return view.getFloat64(at, littleEndian);
  }
}

function tagValues(dataset: ValueSource, element: ElementSpan): string[] {
  const values: string[] = [];
  const read = (at: number) =>
    dataset.littleEndian ? dataset.bytes.readUInt16LE(at) : dataset.bytes.readUInt16BE(at);
  for (let at = element.offset; at + 4 <= element.offset + element.length; at += 4) {
    values.push(tagKey(read(at) * 0x10000 + read(at + 2)));
  }
  return values;
}

/** Padding is a space, or NUL for UI; writers mix them up. A loop, because a pattern would cost n² on hostile spaces. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text.charCodeAt(end - 1) === 0x20 || text.charCodeAt(end - 1) === 0)) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}

function trimStart(text: string): string {
  return text.charCodeAt(0) === 0x20 ? text.trimStart() : text;
}

function tooLong(element: ElementSpan): Failure {
  return new Failure(
    'dicom.too-large',
    `The text of ${tagName(element.tag)} is longer than ${STRING_BYTES_MAX} bytes per value.`,
  );
}
