import { Failure } from '../kernel/errors.ts';
import type { DicomDataset } from './dicom-dataset.ts';
import type { ElementSpan } from './reading/decode-values.ts';

/** A table of PS3.3 C.11.1 (modality), C.11.2 (VOI) or C.7.9 (palette): input `first` gives `values[0]`. */
export interface LookupTable {
  readonly first: number;
  readonly values: Uint16Array;
  /** Bits of one value, 8 to 16. */
  readonly bits: number;
}

export interface LookupTags {
  readonly descriptor: number;
  readonly data: number;
  /** Only palettes have a segmented form. */
  readonly segmented?: number;
}

/** LUT Descriptor (0028,3002) and LUT Data (0028,3006) of an item of a modality or VOI LUT sequence. */
export const LUT_TAGS: LookupTags = { descriptor: 0x00283002, data: 0x00283006 };

/**
 * Reads a table; null when there is no descriptor. `signedInput`: the values it is looked up with may be negative, so the first value
 * mapped is signed whatever its VR (C.11.1.1). Throws `dicom.malformed` when descriptor and data do not fit each other.
 */
export function readLookupTable(
  dataset: DicomDataset,
  tags: LookupTags,
  signedInput: boolean,
): LookupTable | null {
  const descriptor = dataset.numbers(tags.descriptor);
  if (descriptor.length === 0) return null;
  const [stated, start, bits] = descriptor;
  if (descriptor.length !== 3 || stated === undefined || start === undefined || bits === undefined)
    throw broken();
  // 0 stands for 65,536, which has no room in 16 bits; a count above 32,767 is negative in the VR SS.
  const entries = stated === 0 ? 65_536 : stated & 0xffff;
  if (bits < 8 || bits > 16) throw broken();
  const first = signedInput ? (start << 16) >> 16 : start & 0xffff;
  const plain = dataset.get(tags.data);
  const segmented = tags.segmented === undefined ? undefined : dataset.get(tags.segmented);
  if (plain !== undefined) return { first, bits, values: plainValues(dataset, plain, entries, bits) };
  if (segmented === undefined) throw broken();
  return { first, bits, values: segmentedValues(wordsOf(dataset, segmented, bits), entries) };
}

/** What `value` becomes: below the first and above the last input the ends hold (C.11.1.1). */
export function lookUp({ first, values }: LookupTable, value: number): number {
  const index = Math.round(value) - first;
  return values[index < 0 ? 0 : Math.min(index, values.length - 1)]!;
}

/** 8-bit values stand one to a byte, or one to a word with a byte of nothing; files have both. */
function plainValues(
  dataset: DicomDataset,
  element: ElementSpan,
  entries: number,
  bits: number,
): Uint16Array {
  const narrow = bits === 8 && element.length < 2 * entries;
  const values = wordsOf(dataset, element, narrow ? 8 : 16);
  if (values.length < entries || values.length > entries + 1) throw broken();
  return values.slice(0, entries);
}

function wordsOf(dataset: DicomDataset, element: ElementSpan, bits: number): Uint16Array {
  if (element.length > LUT_BYTES_MAX) throw broken();
  const bytes = dataset.bytes.subarray(element.offset, element.offset + element.length);
  if (bits === 8) {
    // In a big endian file OW swaps the two bytes of each word.
    const swapped = !dataset.littleEndian && element.vr === 'OW';
    return Uint16Array.from(bytes, (byte, at) => (swapped ? (bytes[at ^ 1] ?? 0) : byte));
  }
  const words = new Uint16Array(bytes.length >> 1);
  for (let at = 0; at < words.length; at += 1)
    words[at] = dataset.littleEndian ? bytes.readUInt16LE(2 * at) : bytes.readUInt16BE(2 * at);
  return words;
}

/** 65,536 words, and room for the segments of a table that packs badly. */
const LUT_BYTES_MAX = 4 * 65_536;

/**
 * PS3.3 C.7.9.2: discrete values, straight lines from the value before, and segments that stand elsewhere. What is written out is never longer
 * than the descriptor says, so segments that repeat others cannot fill the memory.
 */
function segmentedValues(words: Uint16Array, entries: number): Uint16Array {
  const values = new Uint16Array(entries);
  const end = writeSegments(words, { at: 0, count: Number.POSITIVE_INFINITY }, values, 0, true);
  if (end !== entries) throw broken();
  return values;
}

function writeSegments(
  words: Uint16Array,
  { at: start, count }: { at: number; count: number },
  values: Uint16Array,
  from: number,
  mayRefer: boolean,
): number {
  let at = start;
  let to = from;
  for (let segment = 0; segment < count && at + 1 < words.length && to < values.length; segment += 1) {
    const [opcode, length] = [words[at]!, words[at + 1]!];
    at += 2;
    if (length > values.length - to && opcode !== INDIRECT) throw broken();
    if (opcode === DISCRETE) {
      if (at + length > words.length) throw broken();
      values.set(words.subarray(at, at + length), to);
      at += length;
      to += length;
    } else if (opcode === LINEAR && to > 0 && at < words.length) {
      writeLine(values, to, length, words[at]!);
      at += 1;
      to += length;
    } else if (opcode === INDIRECT && mayRefer && at + 1 < words.length) {
      // An offset in bytes from the start of the segments, its low word first.
      const offset = words[at]! + words[at + 1]! * 65_536;
      to = writeSegments(words, { at: offset >> 1, count: length }, values, to, false);
      at += 2;
    } else throw broken();
  }
  return to;
}

const DISCRETE = 0;
const LINEAR = 1;
const INDIRECT = 2;

function writeLine(values: Uint16Array, to: number, length: number, end: number): void {
  const start = values[to - 1]!;
  for (let step = 1; step <= length; step += 1)
    values[to + step - 1] = Math.round(start + ((end - start) * step) / length);
}

function broken(): Failure {
  return new Failure(
    'dicom.malformed',
    'A lookup table does not have the entries that its descriptor states.',
  );
}
