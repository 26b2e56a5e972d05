import { Failure } from '../../kernel/errors.ts';
import { type CodestreamHeader, jpegHeader } from './codestream-header.ts';
import { checkSize, type DecodedFrame, type DecodeFrame } from './decoded-frame.ts';
import { decodeJpeg12Bit } from './jpeg-12-bit.ts';
import { decodeJpegLossless } from './jpeg-lossless.ts';
import { loadWasmDecoder, type RunDecoder } from './wasm-decoder.ts';

/**
 * JPEG of ITU-T T.81: what is in the frame decides, not the transfer syntax, because writers mix .50, .51 and .57 up.
 * 8 bits by libjpeg-turbo; 12 bits and lossless by our own decoders, for no kept package decodes them.
 */
export async function loadJpeg(): Promise<DecodeFrame> {
  const turbo = await loadWasmDecoder('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs', 'JPEGDecoder');
  return (bytes, description) => {
    const header = jpegHeader(bytes);
    const { photometricInterpretation } = description;
    checkSize(header, description);
    checkDensity(bytes, header);
    if (header.marker === 0xc3) return decodeJpegLossless(bytes, header);
    if (header.precision === 8 && header.marker <= 0xc2)
      return decodeTurbo(turbo, bytes, header, photometricInterpretation);
    if (header.precision === 12 && (header.marker === 0xc1 || header.marker === 0xc2))
      return decodeJpeg12Bit(bytes, header);
    throw new Failure('dicom.pixel-format', 'This kind of JPEG (hierarchical or arithmetic) is not decoded.');
  };
}

/**
 * A Huffman code has at least one bit, so a frame has at least a bit per sample (lossless), two per block (sequential) or
 * one per block (progressive). A few bytes that state a large size are refused before memory for that size is taken.
 */
function checkDensity(bytes: Uint8Array, { marker, width, height, components }: CodestreamHeader): void {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const bits = marker === 0xc3 ? width * height * components : marker === 0xc2 ? blocks : 2 * blocks;
  if (bits > bytes.length * 8) {
    throw new Failure('dicom.codestream', 'The JPEG frame is too short for the size that it states.');
  }
}

/** libjpeg-turbo turns YCbCr into RGB by itself and leaves what an Adobe marker says is RGB already. */
function decodeTurbo(
  turbo: RunDecoder,
  bytes: Uint8Array,
  header: CodestreamHeader,
  photometric: string,
): DecodedFrame {
  const { components, precision } = header;
  const isRgb = components === 3 && photometric === 'RGB' && !hasColourMarker(bytes);
  const { info, decoded } = turbo(isRgb ? withAdobeMarker(bytes) : bytes);
  const { width, height } = info;
  return { width, height, components, precision, signed: false, samples: decoded, rgb: components === 3 };
}

/** JFIF (APP0) and Adobe (APP14) markers say what the colours are; they stand before anything else. */
function hasColourMarker(bytes: Uint8Array): boolean {
  return bytes[2] === 0xff && (bytes[3] === 0xe0 || bytes[3] === 0xee);
}

/** Without a marker libjpeg takes three components for YCbCr, against PhotometricInterpretation RGB: tell it otherwise. */
function withAdobeMarker(bytes: Uint8Array): Uint8Array {
  const marker = [0xff, 0xee, 0, 14, ...Buffer.from('Adobe', 'latin1'), 0, 100, 0, 0, 0, 0, 0];
  const marked = new Uint8Array(bytes.length + marker.length);
  marked.set(bytes.subarray(0, 2));
  marked.set(marker, 2);
  marked.set(bytes.subarray(2), 2 + marker.length);
  return marked;
}
