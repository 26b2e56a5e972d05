import { Failure } from '../../kernel/errors.ts';
import type { Fragment, PixelData } from '../pixel-data.ts';
import { FRAGMENTS_MAX } from './limits.ts';

const UNDEFINED_LENGTH = 0xffffffff;
/** Item and delimiter tags as they stand in a little endian file; encapsulated pixels are always little endian. */
const ITEM_TAG = 0xe000fffe;
const DELIMITER_TAG = 0xe0ddfffe;

interface PixelElement {
  readonly tag: number;
  /** Of the value. */
  readonly offset: number;
  readonly length: number;
  readonly littleEndian: boolean;
  readonly vr: string;
}

/** Notes where the pixels are (PS3.5 A.4 and 8.1); reads fragment heads only, never a pixel. */
export function readPixelData(bytes: Buffer, element: PixelElement): PixelData {
  if (element.length !== UNDEFINED_LENGTH) {
    return {
      kind: 'native',
      source: bytes,
      truncated: element.length > bytes.length - element.offset,
      ...element,
    };
  }
  const { fragments, truncated } = readFragments(bytes, element.offset, bytes.length);
  const [table, ...rest] = fragments;
  const offsets: number[] = [];
  if (table !== undefined) {
    for (let at = 0; at + 4 <= table.length; at += 4) offsets.push(bytes.readUInt32LE(table.offset + at));
  }
  return { kind: 'encapsulated', tag: element.tag, source: bytes, offsets, fragments: rest, truncated };
}

/** Position after encapsulated pixels nested in an item. Throws `dicom.truncated` when they do not end. */
export function skipFragments(bytes: Buffer, start: number, end: number): number {
  const read = readFragments(bytes, start, end);
  if (read.truncated) throw new Failure('dicom.truncated', 'The file ends inside encapsulated pixels.');
  return read.end;
}

function readFragments(bytes: Buffer, start: number, end: number) {
  const fragments: Fragment[] = [];
  let at = start;
  while (at + 8 <= end) {
    const tag = bytes.readUInt32LE(at);
    const length = bytes.readUInt32LE(at + 4);
    at += 8;
    if (tag === DELIMITER_TAG) return { fragments, truncated: false, end: at };
    if (tag !== ITEM_TAG)
      throw new Failure('dicom.malformed', 'Encapsulated pixels hold something other than items.');
    if (fragments.length >= FRAGMENTS_MAX) {
      throw new Failure('dicom.too-large', `The pixel data has more than ${FRAGMENTS_MAX} fragments.`);
    }
    if (length > end - at) {
      fragments.push({ offset: at, length: end - at });
      return { fragments, truncated: true, end };
    }
    fragments.push({ offset: at, length });
    at += length;
  }
  return { fragments, truncated: true, end: at };
}
