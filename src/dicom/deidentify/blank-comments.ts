/**
 * Code streams have room for text: comments (COM) of JPEG, JPEG-LS and JPEG 2000, and application segments such as Exif, which cameras and
 * converters fill. Their bytes become zeros and their lengths stay, so that nothing moves and every pixel decodes as before. Gives the same
 * buffer when there is nothing to blank.
 */
export function blankComments(fragment: Buffer): Buffer {
  const first = fragment.length >= 4 ? fragment.readUInt16BE(0) : 0;
  if (first !== JPEG_START && first !== JPEG_2000_START) return fragment;
  const found = [...(first === JPEG_START ? jpegSegments(fragment) : codestreamComments(fragment))];
  if (found.length === 0) return fragment;
  const copy = Buffer.from(fragment);
  for (const { start, end } of found) copy.fill(0, start, end);
  return copy;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const JPEG_START = 0xffd8;
const JPEG_SCAN = 0xffda;
const JPEG_COMMENT = 0xfffe;
const JPEG_2000_START = 0xff4f;
const JPEG_2000_TILE = 0xff90;
const JPEG_2000_COMMENT = 0xff64;

/** Marker segments up to the first scan (ISO/IEC 10918-1 B.1.1). */
function* jpegSegments(bytes: Buffer): Generator<Span> {
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes.readUInt16BE(at);
    if (marker === 0xffff) {
      at += 1;
      continue;
    }
    if (marker < 0xff00 || marker === JPEG_SCAN) return;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return;
    if (isText(marker, bytes, at + 4)) yield { start: at + 4, end };
    at = end;
  }
}

/** APP0 (JFIF), APP8 (SPIFF, HP colour transform), APP14 (Adobe) and colour profiles tell a decoder what the colours are. */
function isText(marker: number, bytes: Buffer, at: number): boolean {
  if (marker === JPEG_COMMENT) return true;
  if (marker < 0xffe1 || marker > 0xffef || marker === 0xffe8 || marker === 0xffee) return false;
  return bytes.toString('latin1', at, at + 11) !== 'ICC_PROFILE';
}

/** Of the main header (ISO/IEC 15444-1 A.9.2); the two bytes that say what kind of comment it is stay. */
function* codestreamComments(bytes: Buffer): Generator<Span> {
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes.readUInt16BE(at);
    if (marker < 0xff00 || marker === JPEG_2000_TILE) return;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return;
    if (marker === JPEG_2000_COMMENT) yield { start: Math.min(at + 6, end), end };
    at = end;
  }
}
