import { IMPLEMENTATION_CLASS_UID } from '../src/dicom/write-part10.ts';

/**
 * What the demo does to a person's own files so that an archive takes them. The files on the disk stay as they are.
 */

const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2';

/** Old exports are a bare data set in implicit little endian: STOW-RS wants a file with preamble and file meta (PS3.10 7.1). */
export function withFileMeta(file: Buffer, sopClassUid: string, sopInstanceUid: string): Buffer {
  if (file.toString('latin1', 128, 132) === 'DICM') return file;
  const elements = Buffer.concat([
    element(0x0001, 'OB', Buffer.of(0, 1)),
    element(0x0002, 'UI', uid(sopClassUid)),
    element(0x0003, 'UI', uid(sopInstanceUid)),
    element(0x0010, 'UI', uid(IMPLICIT_LITTLE_ENDIAN)),
    element(0x0012, 'UI', uid(IMPLEMENTATION_CLASS_UID)),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(elements.length);
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(0x0000, 'UL', length),
    elements,
    file,
  ]);
}

function element(number: number, vr: string, value: Buffer): Buffer {
  const long = vr === 'OB';
  const head = Buffer.alloc(long ? 12 : 8);
  head.writeUInt16LE(0x0002, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (long) head.writeUInt32LE(value.length, 8);
  else head.writeUInt16LE(value.length, 6);
  return Buffer.concat([head, value]);
}

const uid = (text: string) => Buffer.from(text.length % 2 === 0 ? text : `${text}\0`, 'latin1');

/** The UID with other last digits, of the same length, for the nth copy: bytes can be exchanged in place. */
export function otherUid(original: string, copy: number): string {
  const digits = /\d{1,3}$/.exec(original)?.[0] ?? '';
  const value = (Number(digits) + copy) % 10 ** digits.length;
  return `${original.slice(0, original.length - digits.length)}${String(Math.max(value, 1)).padStart(digits.length, '1')}`;
}

/** Exchanges UIDs everywhere in a file, each for one of the same length. */
export function withUids(file: Buffer, exchange: ReadonlyMap<string, string>): Buffer {
  const changed = Buffer.from(file);
  for (const [from, to] of exchange) {
    for (
      let at = changed.indexOf(from, 0, 'latin1');
      at >= 0;
      at = changed.indexOf(from, at + from.length, 'latin1')
    ) {
      changed.write(to, at, 'latin1');
    }
  }
  return changed;
}
