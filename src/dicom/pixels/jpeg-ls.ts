import { jpegHeader } from './codestream-header.ts';
import { checkSize, type DecodeFrame } from './decoded-frame.ts';
import { interleave } from './interleave.ts';
import { loadWasmDecoder, samplesOf } from './wasm-decoder.ts';

/** JPEG-LS by CharLS. */
export async function loadJpegLs(): Promise<DecodeFrame> {
  const decode = await loadWasmDecoder('@cornerstonejs/codec-charls/decodewasmjs', 'JpegLSDecoder');
  return (bytes, description) => {
    checkSize(jpegHeader(bytes), description);
    const { info, interleaveMode, decoded } = decode(withEnd(bytes));
    const { width, height, componentCount: components, bitsPerSample: precision } = info;
    const samples = samplesOf(decoded, precision, false);
    if (interleaveMode === 0 && components > 1) interleave(samples, components);
    return { width, height, components, precision, signed: false, samples, rgb: false };
  };
}

/**
 * With its end marker (EOI), which a stream that was cut short lacks: CharLS would read on behind its end, in what lies there, for ten seconds of processor time and
 * more, where it finds the marker and says at once that samples are missing.
 */
function withEnd(bytes: Uint8Array): Uint8Array {
  const padded = bytes.at(-1) === 0 ? 1 : 0;
  if (bytes.at(-2 - padded) === 0xff && bytes.at(-1 - padded) === 0xd9) return bytes;
  const ended = new Uint8Array(bytes.length + 2);
  ended.set(bytes);
  ended.set([0xff, 0xd9], bytes.length);
  return ended;
}
