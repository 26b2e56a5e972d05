import { jpeg2000Header } from './codestream-header.ts';
import { checkSize, type DecodeFrame } from './decoded-frame.ts';
import { loadWasmDecoder, samplesOf } from './wasm-decoder.ts';

/** JPEG 2000 by OpenJPEG and HTJ2K by OpenJPH. Both undo a colour transformation within the code stream. */
export async function loadJpeg2000(packing: 'jpeg-2000' | 'htj2k'): Promise<DecodeFrame> {
  const decode =
    packing === 'htj2k'
      ? await loadWasmDecoder('@cornerstonejs/codec-openjph', 'HTJ2KDecoder')
      : await loadWasmDecoder('@cornerstonejs/codec-openjpeg/decodewasmjs', 'J2KDecoder');
  return (bytes, description) => {
    checkSize(jpeg2000Header(bytes), description);
    const { info, decoded } = decode(bytes);
    const signed = info.isSigned === true;
    const { width, height, componentCount: components, bitsPerSample: precision } = info;
    const samples = samplesOf(decoded, precision, signed);
    const rgb = components === 3 && /^YBR_(RCT|ICT)$/.test(description.photometricInterpretation);
    return { width, height, components, precision, signed, samples, rgb };
  };
}
