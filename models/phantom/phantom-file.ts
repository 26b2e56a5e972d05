import { writePart10 } from '../../src/dicom/write-part10.ts';

/** A DICOM Part 10 file of a phantom image: `attributes` by names without pixel data, `stored` its 16-bit values. */
export function phantomFile(attributes: Readonly<Record<string, unknown>>, stored: Uint16Array): Buffer {
  return writePart10(attributes, new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
}
