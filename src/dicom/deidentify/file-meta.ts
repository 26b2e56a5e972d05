import { EXPLICIT_LITTLE_ENDIAN, findTransferSyntax } from '../transfer-syntax.ts';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../write-part10.ts';
import { textValue, type WrittenElement, writeElements } from './write-elements.ts';

/**
 * Preamble of zeros, prefix and file meta information (PS3.10 7.1) that tell nothing of who wrote the file before. `syntax`: as the pixels were read; native
 * ones are written little endian and explicit, and a deflated data set inflated.
 */
export function fileMeta(sopClassUid: string, sopInstanceUid: string, syntax: string): Buffer {
  const written = findTransferSyntax(syntax)?.packing === 'native' ? EXPLICIT_LITTLE_ENDIAN : syntax;
  const group = writeElements([
    { tag: 0x00020001, vr: 'OB', value: Buffer.of(0, 1) },
    text(0x00020002, 'UI', sopClassUid),
    text(0x00020003, 'UI', sopInstanceUid),
    text(0x00020010, 'UI', written),
    text(0x00020012, 'UI', IMPLEMENTATION_CLASS_UID),
    text(0x00020013, 'SH', IMPLEMENTATION_VERSION_NAME),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(group.length);
  return Buffer.concat([
    Buffer.alloc(PREAMBLE_BYTES),
    Buffer.from('DICM'),
    writeElements([{ tag: 0x00020000, vr: 'UL', value: length }]),
    group,
  ]);
}

const PREAMBLE_BYTES = 128;

const text = (tag: number, vr: string, value: string): WrittenElement => ({
  tag,
  vr,
  value: textValue(value, vr),
});
