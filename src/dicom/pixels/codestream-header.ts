import { Failure } from '../../kernel/errors.ts';

/** What a compressed frame says of itself, read from its first markers. */
export interface CodestreamHeader {
  /** Second byte of the frame marker: 0xC0 baseline … 0xC3 lossless, 0xF7 JPEG-LS; 0x51 for JPEG 2000. */
  readonly marker: number;
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly precision: number;
}

/** Start of frame of JPEG (ITU-T T.81 B.2.2) and JPEG-LS (T.87 C.2.2). Throws `dicom.codestream`. */
export function jpegHeader(bytes: Uint8Array): CodestreamHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) throw broken();
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (view.getUint8(at) !== 0xff) throw broken();
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (isStartOfFrame(marker) && at + 10 <= bytes.length) {
      return {
        marker,
        precision: view.getUint8(at + 4),
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: view.getUint8(at + 9),
      };
    }
    if (marker === 0xda || marker === 0xd9) throw broken();
    at += 2 + Math.max(2, view.getUint16(at + 2));
  }
  throw broken();
}

/** SIZ of JPEG 2000 and HTJ2K (ITU-T T.800 A.5.1). Throws `dicom.codestream`, also for a file in JP2 boxes. */
export function jpeg2000Header(bytes: Uint8Array): CodestreamHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 51 || view.getUint32(0) !== 0xff4fff51) throw broken();
  return {
    marker: 0x51,
    width: view.getUint32(8) - view.getUint32(16),
    height: view.getUint32(12) - view.getUint32(20),
    components: view.getUint16(40),
    precision: (view.getUint8(42) & 0x7f) + 1,
  };
}

/** SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), and SOF55 of JPEG-LS. */
function isStartOfFrame(marker: number): boolean {
  if (marker === 0xf7) return true;
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function broken(): Failure {
  return new Failure('dicom.codestream', 'The compressed frame has no valid header.');
}
