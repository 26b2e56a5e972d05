import { Failure } from '../../kernel/errors.ts';
import { jpeg2000Header } from './codestream-header.ts';
import { checkSize, type DecodeFrame } from './decoded-frame.ts';
import { decodeReversible } from './jpeg-2000/decode-reversible.ts';
import { loadWasmDecoder, samplesOf } from './wasm-decoder.ts';

/**
 * JPEG 2000: plain reversible code streams by our own decoder, all others by OpenJPEG. HTJ2K by OpenJPH. All undo a colour transformation within the code stream.
 */
export async function loadJpeg2000(packing: 'jpeg-2000' | 'htj2k'): Promise<DecodeFrame> {
  const decode =
    packing === 'htj2k'
      ? await loadWasmDecoder('@cornerstonejs/codec-openjph', 'HTJ2KDecoder')
      : await loadWasmDecoder('@cornerstonejs/codec-openjpeg/decodewasmjs', 'J2KDecoder');
  return (bytes, description) => {
    checkSize(jpeg2000Header(bytes), description);
    const rgb = /^YBR_(RCT|ICT)$/.test(description.photometricInterpretation);
    const plain = packing === 'jpeg-2000' ? decodeReversible(bytes) : null;
    if (plain !== null) return { ...plain, rgb: rgb && plain.components === 3 };
    const { info, decoded } = decode(bytes);
    const { width, height, componentCount: components, bitsPerSample: precision } = info;
    const signed = info.isSigned === true;
    if (signed && precision <= 8) throw lostSign();
    const samples = samplesOf(decoded, precision, signed);
    return { width, height, components, precision, signed, samples, rgb: rgb && components === 3 };
  };
}

/** The packaged decoders give bytes in which negative numbers have become 0. */
function lostSign(): Failure {
  return new Failure(
    'dicom.pixel-format',
    'JPEG 2000 with signed samples of 8 bits or fewer is decoded only where it is reversible, without code-block styles.',
  );
}
