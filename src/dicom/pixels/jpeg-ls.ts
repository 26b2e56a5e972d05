import { jpegHeader } from './codestream-header.ts';
import { checkSize, type DecodeFrame } from './decoded-frame.ts';
import { interleave } from './interleave.ts';
import { loadWasmDecoder, samplesOf } from './wasm-decoder.ts';

/** JPEG-LS by CharLS. */
export async function loadJpegLs(): Promise<DecodeFrame> {
  const decode = await loadWasmDecoder('@cornerstonejs/codec-charls/decodewasmjs', 'JpegLSDecoder');
  return (bytes, description) => {
    checkSize(jpegHeader(bytes), description);
    const { info, interleaveMode, decoded } = decode(bytes);
    const { width, height, componentCount: components, bitsPerSample: precision } = info;
    const samples = samplesOf(decoded, precision, false);
    if (interleaveMode === 0 && components > 1) interleave(samples, components);
    return { width, height, components, precision, signed: false, samples, rgb: false };
  };
}
