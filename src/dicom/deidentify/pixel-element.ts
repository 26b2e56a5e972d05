import { Failure } from '../../kernel/errors.ts';
import type { EncapsulatedPixelData, NativePixelData, PixelData } from '../pixel-data.ts';
import { blankComments } from './blank-comments.ts';
import { elementHead, itemHead, padded } from './write-elements.ts';

const ITEM = 0xfffee000;
const DELIMITER = 0xfffee0dd;
const FLOAT_PIXELS = 0x7fe00008;
const DOUBLE_PIXELS = 0x7fe00009;
const UNDEFINED_LENGTH = 0xffffffff;

/** The pixel data element in explicit VR little endian, every pixel as it was. Throws `dicom.truncated`. */
export function pixelElement(pixelData: PixelData, bitsAllocated: number): Buffer {
  if (pixelData.truncated) throw new Failure('dicom.truncated', 'The file ends inside its pixel data.');
  return pixelData.kind === 'native'
    ? nativeElement(pixelData, bitsAllocated)
    : encapsulatedElement(pixelData);
}

function nativeElement(pixels: NativePixelData, bitsAllocated: number): Buffer {
  const { source, offset, length, tag } = pixels;
  const vr = tag === FLOAT_PIXELS ? 'OF' : tag === DOUBLE_PIXELS ? 'OD' : bitsAllocated > 8 ? 'OW' : 'OB';
  const value = padded(littleEndian(source.subarray(offset, offset + length), pixels, bitsAllocated));
  return Buffer.concat([elementHead(tag, vr, value.length), value]);
}

/** As `pixels/native.ts` reads it: the width of a sample; 8-bit samples in OW lie in swapped pairs (PS3.5 A.3). */
function littleEndian(
  bytes: Buffer,
  { littleEndian, vr, tag }: NativePixelData,
  bitsAllocated: number,
): Buffer {
  if (littleEndian) return bytes;
  const copy = Buffer.from(bytes);
  if (tag === DOUBLE_PIXELS && copy.length % 8 === 0) return copy.swap64();
  if ((tag === FLOAT_PIXELS || bitsAllocated === 32) && copy.length % 4 === 0) return copy.swap32();
  if ((bitsAllocated === 16 || vr === 'OW') && copy.length % 2 === 0) return copy.swap16();
  return copy;
}

/** Fragments keep their lengths, so that offset tables stay true; what code streams say in comments is blanked. */
function encapsulatedElement({ tag, source, offsets, fragments }: EncapsulatedPixelData): Buffer {
  const table = Buffer.alloc(offsets.length * 4);
  offsets.forEach((offset, i) => {
    table.writeUInt32LE(offset, i * 4);
  });
  const parts = fragments.flatMap(({ offset, length }) => {
    const bytes = padded(source.subarray(offset, offset + length));
    return [itemHead(ITEM, bytes.length), blankComments(bytes)];
  });
  return Buffer.concat([
    elementHead(tag, 'OB', UNDEFINED_LENGTH),
    itemHead(ITEM, table.length),
    table,
    ...parts,
    itemHead(DELIMITER, 0),
  ]);
}
