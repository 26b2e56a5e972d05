import { isLongVr } from '../reading/data-dictionary.ts';

/** An element to be written: explicit VR little endian, the value already of even length. */
export interface WrittenElement {
  readonly tag: number;
  readonly vr: string;
  readonly value: Buffer | readonly (readonly WrittenElement[])[];
}

/** Elements in the order of their tags, sequences and items with their lengths (PS3.5 7.1.2, 7.5). */
export function writeElements(elements: readonly WrittenElement[]): Buffer {
  const sorted = [...elements].sort((a, b) => a.tag - b.tag);
  return Buffer.concat(sorted.flatMap(elementBytes));
}

/** Text or UIDs as a value: padded with a space, UIDs with NUL. */
export function textValue(text: string, vr: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return padded(bytes, vr === 'UI' ? 0 : 0x20);
}

/** To even length (PS3.5 7.1.1). */
export function padded(bytes: Buffer, pad = 0): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(pad)]);
}

/** Tag, VR and length; values too long for a 16-bit length are written as UN (PS3.5 6.2.2). */
export function elementHead(tag: number, vr: string, length: number): Buffer {
  const isLong = isLongVr(vr) || length > SHORT_LENGTH_MAX;
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(isLong && !isLongVr(vr) ? 'UN' : vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(length, 8);
  else head.writeUInt16LE(length, 6);
  return head;
}

const SHORT_LENGTH_MAX = 0xfffe;
const ITEM = 0xfffee000;

function elementBytes({ tag, vr, value }: WrittenElement): Buffer[] {
  if (Buffer.isBuffer(value)) return [elementHead(tag, vr, value.length), value];
  const items = (value as readonly (readonly WrittenElement[])[]).flatMap((item) => {
    const bytes = writeElements(item);
    return [itemHead(ITEM, bytes.length), bytes];
  });
  return [
    elementHead(
      tag,
      'SQ',
      items.reduce((sum, { length }) => sum + length, 0),
    ),
    ...items,
  ];
}

/** Item or delimiter: tag and 32-bit length. */
export function itemHead(tag: number, length: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.writeUInt32LE(length, 4);
  return head;
}

/** The value's bytes in little endian, by the width of the VR's numbers. */
export function littleEndianValue(bytes: Buffer, vr: string, littleEndian: boolean): Buffer {
  const width = WIDTHS[vr] ?? 1;
  if (littleEndian || width === 1 || bytes.length % width !== 0) return bytes;
  const copy = Buffer.from(bytes);
  return width === 2 ? copy.swap16() : width === 4 ? copy.swap32() : copy.swap64();
}

const WIDTHS: Readonly<Record<string, number>> = {
  ...{ US: 2, SS: 2, OW: 2, AT: 2, UL: 4, SL: 4, FL: 4, OL: 4, OF: 4, FD: 8, OD: 8, SV: 8, UV: 8, OV: 8 },
};
